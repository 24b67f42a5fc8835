//! Passes on what changes in the hub: interest to the peers, ends of connections to the registry.
//!
//! Must not keep the router alive: the hub holds the observer, and the router holds the hub.

use std::sync::{Arc, Weak};

use super::{peers::hash, router::MessageRouter};
use crate::{
    hub::{ConnectionInner, HubObserver, ScopeKey},
    link::Interest,
};

pub(super) struct ClusterObserver {
    interest: Arc<Interest>,
    router: Weak<MessageRouter>,
}

impl ClusterObserver {
    pub(super) fn new(router: &Arc<MessageRouter>) -> Self {
        Self {
            interest: Arc::clone(&router.interest),
            router: Arc::downgrade(router),
        }
    }
}

impl HubObserver for ClusterObserver {
    fn gained(&self, key: ScopeKey<'_>) {
        self.interest.gained(hash(key));
    }

    fn lost(&self, key: ScopeKey<'_>) {
        self.interest.lost(hash(key));
    }

    fn entered(&self, id: &str) {
        if let Some(router) = self.router.upgrade() {
            router.on_local_connect(id);
        }
    }

    fn left(&self, conn: &Arc<ConnectionInner>) {
        if let Some(router) = self.router.upgrade()
            && let Some(registrar) = router.directory.registrar()
        {
            registrar.disconnect(conn);
        }
    }
}
