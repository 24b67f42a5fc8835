//! Serving a node: an HTTP service that upgrades every request, and a listener until shutdown.
//!
//! Owns the order of an orderly end: stop accepting, then drain. Must not know what an upgrade checks.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::{
    handler::Handler,
    listener::{HttpService, Listener},
    node::{Drained, Node},
    upgrade::{Accept, Refusal, Upgrade, UpgradeRequest},
};

impl<H: Handler> Node<H> {
    /// An HTTP service that upgrades every request that `authorize` accepts. For applications without a
    /// router; with axum, use [`Upgrade`](crate::Upgrade) as an extractor. `authorize` has
    /// [`Config::decision_timeout`](crate::Config::decision_timeout); then the response is 503.
    pub fn service<F, D>(&self, authorize: F) -> NodeService<H, F>
    where
        F: Fn(UpgradeRequest) -> D + Send + Sync + 'static,
        D: Future<Output = Result<Accept<H::State>, Refusal>> + Send + 'static,
    {
        NodeService {
            node: self.clone(),
            authorize: Arc::new(authorize),
        }
    }

    /// Serves upgrades until `shutdown`, then drains: [`Node::serve_service`] with [`Node::service`].
    pub async fn serve<F, D>(
        &self,
        listener: Listener,
        authorize: F,
        shutdown: impl Future<Output = ()>,
    ) -> Drained
    where
        F: Fn(UpgradeRequest) -> D + Send + Sync + 'static,
        D: Future<Output = Result<Accept<H::State>, Refusal>> + Send + 'static,
    {
        self.serve_service(listener, self.service(authorize), shutdown)
            .await
    }

    /// Serves an HTTP service, such as an axum router, until `shutdown`. Then it closes the port and drains
    /// the node, while requests in progress end.
    pub async fn serve_service(
        &self,
        listener: Listener,
        service: impl HttpService,
        shutdown: impl Future<Output = ()>,
    ) -> Drained {
        let stop = CancellationToken::new();
        let listener = listener.valid_limits(self.hub().config());
        let served = listener.serve(service, stop.cancelled());
        let drained = async {
            shutdown.await;
            stop.cancel();
            self.drain().await
        };
        tokio::join!(served, drained).1
    }
}

/// An HTTP service that upgrades every request that the application accepts; made by [`Node::service`].
///
/// ```
/// use tieline::{Accept, Handler, Listener, Node};
///
/// async fn serve<H: Handler<State = ()>>(node: &Node<H>) -> std::io::Result<()> {
///     let service = node.service(|_request| async { Ok(Accept::new(())) });
///     let listener = Listener::bind("127.0.0.1:8080").await?;
///     let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
///     listener.serve(service, ctrl_c).await; // ends without a drain, unlike `Node::serve`
///     Ok(())
/// }
/// ```
pub struct NodeService<H: Handler, F> {
    node: Node<H>,
    authorize: Arc<F>,
}

impl<H, F, D, B> Service<Request<B>> for NodeService<H, F>
where
    H: Handler,
    F: Fn(UpgradeRequest) -> D + Send + Sync + 'static,
    D: Future<Output = Result<Accept<H::State>, Refusal>> + Send + 'static,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let upgrade = Upgrade::from_parts(&mut request.into_parts().0);
        let (node, authorize) = (self.node.clone(), Arc::clone(&self.authorize));
        Box::pin(async move {
            Ok(respond(&node, &*authorize, upgrade)
                .await
                .unwrap_or_else(Refusal::into_http))
        })
    }
}

async fn respond<H, F, D>(
    node: &Node<H>,
    authorize: &F,
    upgrade: Result<Upgrade, Refusal>,
) -> Result<Response<String>, Refusal>
where
    H: Handler,
    F: Fn(UpgradeRequest) -> D,
    D: Future<Output = Result<Accept<H::State>, Refusal>>,
{
    let upgrade = upgrade?;
    let deadline = upgrade.requested_at() + node.hub().config().decision_timeout;
    let decision = authorize(upgrade.request().clone());
    let decision = tokio::time::timeout_at(deadline, decision)
        .await
        .map_err(|_| {
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server took too long to authorize the request; reconnect\n",
            )
        })?;
    Ok(match decision {
        Ok(accept) => upgrade.accept(node, accept).await,
        Err(refusal) => upgrade.refuse(node, refusal),
    })
}

impl<H: Handler, F> Clone for NodeService<H, F> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            authorize: Arc::clone(&self.authorize),
        }
    }
}

impl<H: Handler, F> fmt::Debug for NodeService<H, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeService").finish_non_exhaustive()
    }
}
