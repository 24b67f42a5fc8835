//! Leases that expire, and the reaper that removes what expired nodes left.
//!
//! Every removal by the reaper is checked against invariant I3.

use std::time::Duration;

use tieline_registry::ExpiredNode;

use super::state::Simulation;
use crate::expect::expect_reply;

/// Chunks that the reaper may need for one node; more would mean that it makes no progress.
const MAX_CHUNKS: usize = 32;

impl Simulation<'_> {
    /// Lets the leases of some nodes expire, while the other running nodes renew theirs.
    pub(crate) async fn expire_leases(&mut self, whose: &[usize]) {
        assert_eq!(
            self.lease,
            self.harness.lease(),
            "this scenario needs short leases, see `Simulation::with_short_leases`"
        );
        let mut passed = Duration::ZERO;
        while passed < self.harness.expiry() {
            self.harness.pass(self.lease / 4).await;
            passed += self.lease / 4;
            for node in self.running_nodes() {
                if !whose.contains(&node) {
                    self.renew(node).await;
                }
            }
        }
    }

    /// The reaper finds out which nodes have expired.
    pub(crate) async fn find_expired(&mut self) -> Vec<ExpiredNode> {
        self.seen_expired = expect_reply(self.registry.expired().await);
        self.seen_expired.clone()
    }

    /// One chunk of the reaper. Returns whether anything is left to remove.
    pub(crate) async fn reap(&mut self, expired: &ExpiredNode, limit: usize) -> bool {
        let ids: Vec<_> = self.newest.keys().cloned().collect();
        let protected = self.entries_of_connections(&ids, true).await;
        let more = expect_reply(self.registry.reap(expired, limit).await);
        self.assert_not_removed(&protected, "the reaper").await;
        more
    }

    /// A round of the reaper: removes the nodes that were expired one round ago and still are. So
    /// every node has a round to renew its lease after an outage of the registry.
    pub(crate) async fn reap_round(&mut self) {
        let before = std::mem::take(&mut self.seen_expired);
        for expired in self.find_expired().await {
            if before.contains(&expired) {
                for _ in 0..MAX_CHUNKS {
                    if !self.reap(&expired, 512).await {
                        break;
                    }
                }
            }
        }
    }
}
