//! One node of the process, ready to serve: its listeners, its handler and its routes.
//!
//! Owns how these are put together from a cluster and an event handler. Must not know signals: it only
//! passes the phase on to the routes.

use std::sync::Arc;

use axum::Router;
use tieline::Node;

use super::{control::Control, listen::Port, routes};
use crate::{
    app::{
        events::Events,
        follow::FollowSettings,
        handshakes::{self, ListenerFailures},
        hubs::Hubs,
        inspection::Inspector,
    },
    wire::{label, pusher::app::LiveApps, webpubsub::handler::WebPubSub},
};

/// A node that is ready to serve.
pub(super) struct ReadyNode<E: Events> {
    /// At least one.
    pub(super) ports: Vec<Port>,
    pub(super) node: Node<WebPubSub<E>>,
    pub(super) router: Router,
    pub(super) hubs: Hubs,
    /// What its listeners count.
    pub(super) failures: Vec<ListenerFailures>,
    /// What operators learn of it.
    pub(super) inspector: Arc<Inspector>,
    /// The apps of Pusher Channels, if it has routes for them.
    pub(super) apps: Option<LiveApps>,
}

impl<E: Events> ReadyNode<E> {
    pub(super) fn new(
        ports: Vec<Port>,
        events: E,
        hubs: Hubs,
        control: Control,
        show_payloads: bool,
    ) -> Self {
        let phase = control.phase();
        let follow = FollowSettings {
            show_payloads,
            label,
        };
        let inspector = Arc::new(Inspector::new(hubs.clone(), control, follow));
        let handler = WebPubSub::new(events, Arc::clone(&inspector));
        let node = Node::in_cluster(hubs.cluster().clone(), handler);
        let (ports, failures) = watched(ports, &hubs);
        let router = routes::routes(&node, hubs.clone(), phase);
        Self {
            ports,
            node,
            router,
            hubs,
            failures,
            inspector,
            apps: None,
        }
    }

    /// Serves the clients and backends of these apps too, by these routes.
    pub(super) fn with_apps(mut self, apps: LiveApps, routes: Router) -> Self {
        self.apps = Some(apps);
        self.with_routes(routes)
    }

    /// Serves these routes too.
    pub(super) fn with_routes(mut self, routes: Router) -> Self {
        self.router = self.router.merge(routes);
        self
    }
}

/// The ports, with what their listeners count.
fn watched(ports: Vec<Port>, hubs: &Hubs) -> (Vec<Port>, Vec<ListenerFailures>) {
    let ports = ports.into_iter().map(|port| {
        let (listener, failures) = handshakes::watched(port.listener, &port.place, hubs);
        (Port { listener, ..port }, failures)
    });
    ports.unzip()
}

#[cfg(test)]
mod tests;
