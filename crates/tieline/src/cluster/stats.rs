//! What a cluster counts on this node.
//!
//! Owns the counts of lookups, and the public form of all counts. Must not know messages or links.

use std::sync::atomic::{AtomicU64, Ordering};

use super::pending::PeerStatus;

/// What this node knows of its cluster, as of now; see [`Cluster::stats`](crate::Cluster::stats). Counts begin with
/// the cluster and only grow; they are not taken at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterStats {
    /// The other nodes, sorted by address: whether their links are up, what waits for them, how far they are.
    pub peers: Vec<PeerStatus>,
    /// Whether the registry answers, as far as messages are concerned: while it does not, no lookup starts.
    pub registry_available: bool,
    /// Entries that this node believes to have in the registry.
    pub entries: u64,
    /// Requests to the registry for the node of a client.
    pub lookups: u64,
    /// Those that were not answered.
    pub lookups_failed: u64,
    /// Ids that the registry has granted to this node.
    pub claims_granted: u64,
    /// Ids that another connection had or was given.
    pub claims_refused: u64,
    /// Times that this node began to compare its entries with those of the registry: at intervals, and when a number
    /// differs.
    pub audits: u64,
    /// Entries that the registry had for this node without a client, found by these comparisons and released.
    pub swept: u64,
    /// Requests to claim or release ids that were not answered; they are repeated.
    pub claim_requests_failed: u64,
    /// Times that a node was missed by a message to many clients that this node has sent, as [`Summary::missed`]
    /// tells each sender.
    ///
    /// [`Summary::missed`]: crate::Summary::missed
    pub nodes_missed: u64,
    /// Links to other nodes that were up and have ended: the node has left or died, or the connection broke.
    pub links_ended: u64,
}

/// Requests for the node of a client.
#[derive(Debug, Default)]
pub(super) struct LookupCounts {
    all: AtomicU64,
    failed: AtomicU64,
}

impl LookupCounts {
    pub(super) fn count(&self, is_answered: bool) {
        self.all.fetch_add(1, Ordering::Relaxed);
        let failed = u64::from(!is_answered);
        self.failed.fetch_add(failed, Ordering::Relaxed);
    }

    /// All, and those that were not answered.
    pub(super) fn get(&self) -> (u64, u64) {
        (
            self.all.load(Ordering::Relaxed),
            self.failed.load(Ordering::Relaxed),
        )
    }
}
