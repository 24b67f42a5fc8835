//! The bodies of a request and of its response.
//!
//! Hides hyper's type from the public API, and ends a request with its response.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use pin_project_lite::pin_project;

use super::places::RequestInProgress;

/// The body of a request, as a stream of bytes.
#[derive(Debug)]
pub struct Body(pub(super) Incoming);

/// A body that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the request body")]
pub struct BodyError(#[source] hyper::Error);

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.0)
            .poll_frame(cx)
            .map(|frame| frame.map(|f| f.map_err(BodyError)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

pin_project! {
    /// The body of a response. The HTTP server drops it once it is sent, and the request ends.
    pub(super) struct ResponseBody<B> {
        #[pin]
        body: B,
        _request: Option<RequestInProgress>,
    }
}

impl<B> ResponseBody<B> {
    /// `request` is `None` if the connection is not one of HTTP any more after this response.
    pub(super) fn new(body: B, request: Option<RequestInProgress>) -> Self {
        Self {
            body,
            _request: request,
        }
    }
}

impl<B: HttpBody> HttpBody for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
