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
    /// The leases of some nodes run out, while the others that are up keep theirs.
    pub(crate) async fn expire_leases(&mut self, whose: &[usize]) {
        assert_eq!(
            self.lease,
            self.harness.lease(),
            "steady leases outlast scenarios"
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

    /// The reaper sees which leases have run out.
    pub(crate) async fn find_expired(&mut self) -> Vec<ExpiredNode> {
        self.seen_expired = expect_reply(self.registry.expired().await);
        self.seen_expired.clone()
    }

    /// A chunk of the reaper. Whether there is more.
    pub(crate) async fn reap(&mut self, expired: &ExpiredNode, most: usize) -> bool {
        let ids: Vec<_> = self.newest.keys().cloned().collect();
        let served = self.live_entries(&ids, true).await;
        let more = expect_reply(self.registry.reap(expired, most).await);
        self.assert_not_removed(&served, "the reaper").await;
        more
    }

    /// A round of the reaper: what was seen one round ago, and is still so, goes.
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
