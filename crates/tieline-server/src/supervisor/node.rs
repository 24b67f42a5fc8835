//! One node of the process, ready to serve: its listeners, its handler and its routes.
//!
//! Owns how these are put together from a cluster and an event handler. Must not know signals: it only
//! passes the phase on to the routes.

use std::sync::Arc;

use axum::Router;
use tieline::{Cluster, Listener, Node};
use tokio::sync::watch;

use super::{phase::ServingPhase, routes};
use crate::{
    app::{events::Events, hubs::Hubs, limits::Quotas},
    wire::webpubsub::handler::WebPubSub,
};

/// A node that is ready to serve.
pub(super) struct ReadyNode<E: Events> {
    /// At least one.
    pub(super) listeners: Vec<Listener>,
    pub(super) node: Node<WebPubSub<E>>,
    pub(super) router: Router,
    pub(super) quotas: Arc<Quotas>,
}

impl<E: Events> ReadyNode<E> {
    pub(super) fn new(
        listeners: Vec<Listener>,
        cluster: Cluster,
        events: E,
        hubs: Hubs,
        phase: watch::Receiver<ServingPhase>,
    ) -> Self {
        let node = Node::in_cluster(cluster.clone(), WebPubSub::new(cluster, events));
        let quotas = Arc::clone(hubs.quotas());
        let router = routes::routes(&node, hubs, phase);
        Self {
            listeners,
            node,
            router,
            quotas,
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
