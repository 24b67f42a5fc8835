//! What a listener serves.
//!
//! A name for the bounds; knows neither sockets nor nodes.

use std::{convert::Infallible, error::Error};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body as HttpBody;
use tower_service::Service;

use super::body::Body;

/// An HTTP service that never fails: an axum router, or [`Node::service`](crate::Node::service).
///
/// A name for the bounds: every tower service that satisfies them implements it.
///
/// ```
/// use tieline::{Handler, HttpService, Listener, Node};
///
/// /// Serves an application, such as an axum router, that upgrades requests to `node`.
/// async fn serve<H: Handler>(node: &Node<H>, app: impl HttpService) -> std::io::Result<()> {
///     let listener = Listener::bind("127.0.0.1:8080").await?;
///     let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
///     node.serve_service(listener, app, ctrl_c).await;
///     Ok(())
/// }
/// ```
pub trait HttpService:
    Service<
        Request<Body>,
        Response = Response<Self::ResponseBody>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
    /// The body of its responses.
    type ResponseBody: HttpBody<Data = Bytes, Error: Error + Send + Sync + 'static> + Send + 'static;
}

impl<S, B> HttpService for S
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Error + Send + Sync + 'static,
{
    type ResponseBody = B;
}
