//! What the registrar needs of the cluster, and what the links need of the registrar.
//!
//! Owns no state: it reaches the hub, the peers and this node's own peer port. Must not know the
//! registry.

use std::sync::Arc;

use bytes::Bytes;
use tieline_registry::{ClientId, Stamp};
use uuid::Uuid;

use super::{peers::Peers, pending::PendingReply};
use crate::{
    close::CloseReason,
    hub::{ConnectionInner, Hub},
    link::{self, LinkConfig, NamespacedRef, PeerClock, ProbeResult, RequestKind, proto},
    registrar::{ClusterClock, LocalInstant, RegistrarHost},
};

pub(super) struct NodeHost {
    pub(super) hub: Hub,
    pub(super) peers: Arc<Peers>,
    pub(super) config: Arc<LinkConfig>,
}

impl RegistrarHost for NodeHost {
    fn evict(&self, node: &str, id: ClientId) {
        let peer = self.peers.get_or_connect(&Arc::from(node));
        let ids = vec![Bytes::copy_from_slice(id.as_str().as_bytes())];
        let evict = NamespacedRef {
            namespace: id.namespace(),
            request: &RequestKind::Evict(proto::Evict { ids }),
        };
        peer.link.send_urgent(&evict, PendingReply::Discard);
    }

    fn on_refused(&self, conn: &Arc<ConnectionInner>) {
        if !self.hub.withdraw(conn) {
            self.hub.close_connection(conn, CloseReason::Replaced);
        }
    }

    fn begin_claim(&self, conn: &Arc<ConnectionInner>, f: impl FnOnce()) -> bool {
        self.hub.begin_claim(conn, f)
    }

    async fn probe(&self) -> Option<Uuid> {
        let address = self.config.address.as_deref()?;
        match link::probe(address, &self.config).await {
            Ok(ProbeResult::Node(process)) => Some(process),
            Ok(ProbeResult::UnaryOnly) | Err(_) => None,
        }
    }
}

impl PeerClock for ClusterClock {
    fn now(&self) -> u64 {
        Self::now(self).0
    }

    fn observe(&self, peer: u64) {
        Self::observe(self, Stamp(peer), LocalInstant::now());
    }
}
