//! Whether a node may take connections, the claims of their ids, and the certificates of its links.
//!
//! Owns nothing: it asks the registrar and the peers. Must not know upgrades.

use std::sync::Arc;

use tokio::time::Instant;

use super::{api::Cluster, directory::NodeRegistrar, peers::not_ready};
use crate::{
    hub::ConnectionInner,
    link::{PeerTls, SecurityError},
    registrar::{ClaimDecision, Health, LocalInstant},
};

impl Cluster {
    /// Whether new connections can be registered; `Err` says why not, for people.
    ///
    /// # Errors
    /// The registry does not respond, or another process holds this node's address.
    pub fn readiness(&self) -> Result<(), String> {
        match self.health() {
            None | Some(Health::Up) => Ok(()),
            Some(Health::Down) => Err("the registry does not respond".into()),
            Some(Health::Conflict(holder)) => Err(format!(
                "process {holder} holds this node's address {}",
                self.address().unwrap_or_default()
            )),
        }
    }

    /// Replaces this node's certificate and the authorities that it accepts, for connections to and from other
    /// nodes that are made from now on. Links that are up stay up, with the certificates they began with.
    ///
    /// To replace the authority, let both sides accept the old one and the new one while the nodes change over.
    ///
    /// # Errors
    /// [`SecurityError::Tls`] if something cannot be used, [`SecurityError::NoTls`] if the node was started without
    /// certificates; then nothing has changed.
    pub fn replace_peer_tls(&self, tls: &PeerTls) -> Result<(), SecurityError> {
        self.router.peers.replace_tls(tls)
    }

    /// Whether another node is ready for clients, so that those of this one may connect there at once: its link is up, it
    /// does not drain, and [`Node::set_ready`](crate::Node::set_ready) has not made it unready. A snapshot, as far as
    /// this node knows: it learns of another's drain within the time of one message, never of that of a node of an
    /// older version, and counts no node of go-websocket. Costs a lock for each peer.
    ///
    /// ```
    /// use tieline::{Accept, CloseCode, CloseFrame, CloseReason, Cluster, Farewell};
    ///
    /// /// When the node drains, its clients come back at once if another one takes them, and later otherwise.
    /// fn accept(cluster: &Cluster) -> Accept<()> {
    ///     Accept::new(()).data(cluster.clone()).farewell(|closing| {
    ///         if *closing.reason() != CloseReason::Drain {
    ///             return None;
    ///         }
    ///         let is_at_once = closing.data::<Cluster>().is_some_and(Cluster::has_ready_peer);
    ///         let code = CloseCode::new(if is_at_once { 4200 } else { 4100 })?;
    ///         Some(Farewell::new(CloseFrame::new(code, "the node is restarting")))
    ///     })
    /// }
    /// ```
    pub fn has_ready_peer(&self) -> bool {
        self.router.peers.is_any_ready()
    }

    fn health(&self) -> Option<Health> {
        self.router.directory.registrar().map(NodeRegistrar::health)
    }
}

/// For the node that serves the hub.
impl Cluster {
    /// Whether another process holds this node's address, so that it takes no connections.
    pub(crate) fn is_in_conflict(&self) -> bool {
        matches!(self.health(), Some(Health::Conflict(_)))
    }

    /// Whether the registry answers.
    pub(crate) fn is_registered(&self) -> bool {
        self.readiness().is_ok()
    }

    /// Whether the ids of this node's connections are registered.
    pub(crate) fn has_registrar(&self) -> bool {
        self.router.directory.registrar().is_some()
    }

    /// Claims the id of a connection that waits for its admission.
    pub(crate) async fn claim(
        &self,
        conn: &Arc<ConnectionInner>,
        arrival: Instant,
        exclusive: bool,
    ) -> ClaimDecision {
        match self.router.directory.registrar() {
            Some(registrar) => {
                registrar
                    .connect(conn, LocalInstant::of(arrival), exclusive)
                    .await
            }
            None => ClaimDecision::Undecided,
        }
    }

    /// Announces to peers whether this node takes new clients. It counts how often it was said that it does not.
    pub(crate) fn announce_ready(&self, is_ready: bool) {
        let (interest, hash) = (&self.router.interest, not_ready());
        if is_ready {
            interest.lost(hash);
        } else {
            interest.gained(hash);
        }
    }

    /// Reports by the health service of the peer port that this node drains.
    pub(crate) async fn is_ending(&self) {
        self.runtime.report_draining().await;
    }
}
