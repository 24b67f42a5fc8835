//! One node of the process, ready to serve: its listener, its handler and its routes.
//!
//! Owns how these are put together from a cluster and an event handler. Must not know signals: it only
//! passes the phase on to the routes.

use axum::Router;
use tieline::{Cluster, Listener, Node};
use tokio::sync::watch;

use super::{phase::ServingPhase, routes};
use crate::{
    app::{events::Events, hubs::Hubs},
    wire::webpubsub::handler::WebPubSub,
};

/// A node that is ready to serve.
pub(super) struct ReadyNode<E: Events> {
    pub(super) listener: Listener,
    pub(super) node: Node<WebPubSub<E>>,
    pub(super) router: Router,
}

impl<E: Events> ReadyNode<E> {
    pub(super) fn new(
        listener: Listener,
        cluster: Cluster,
        events: E,
        hubs: Hubs,
        phase: watch::Receiver<ServingPhase>,
    ) -> Self {
        let node = Node::in_cluster(cluster.clone(), WebPubSub::new(cluster, events));
        let router = routes::routes(&node, hubs, phase);
        Self {
            listener,
            node,
            router,
        }
    }

    /// Serves these routes too.
    pub(super) fn with_routes(mut self, routes: Router) -> Self {
        self.router = self.router.merge(routes);
        self
    }
}

#[cfg(test)]
mod tests;
