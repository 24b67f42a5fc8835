//! Whether a node may take connections, the claims of their ids, and the certificates of its links.
//!
//! Owns nothing: it asks the registrar and the peers. Must not know upgrades.

use std::sync::Arc;

use tokio::time::Instant;

use super::{api::Cluster, directory::NodeRegistrar};
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

    /// Reports by the health service of the peer port that this node drains.
    pub(crate) async fn is_ending(&self) {
        self.runtime.report_draining().await;
    }
}
