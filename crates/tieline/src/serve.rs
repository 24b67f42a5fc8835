//! The HTTP service of a node that owns all its routes.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode};
use tower_service::Service;

use crate::{Accept, Handler, Node, Refusal, Upgrade, UpgradeRequest};

/// Upgrades every request that the application accepts; made by [`Node::service`].
pub struct NodeService<H: Handler, F> {
    node: Node<H>,
    authorize: Arc<F>,
}

impl<H: Handler, F> NodeService<H, F> {
    pub(crate) fn new(node: Node<H>, authorize: F) -> Self {
        Self {
            node,
            authorize: Arc::new(authorize),
        }
    }
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
            Ok(answer(&node, &*authorize, upgrade)
                .await
                .unwrap_or_else(Refusal::into_http))
        })
    }
}

async fn answer<H, F, D>(
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
    let deadline = upgrade.begun() + node.hub().config().handshake_timeout;
    let decision = authorize(upgrade.request().clone());
    let accept = tokio::time::timeout_at(deadline, decision)
        .await
        .map_err(|_| {
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server took too long to decide\n",
            )
        })??;
    Ok(upgrade.accept(node, accept).await)
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
