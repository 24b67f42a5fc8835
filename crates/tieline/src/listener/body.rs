//! The body of a request.
//!
//! Hides hyper's type from the public API.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

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
