//! Runs the protocol until nothing changes, then checks the invariants.
//!
//! Owns the order of a round: renewals, requests, evicts, audits, the reaper.

use tieline_registry::claim_table::StopReason;

use super::{
    node::ProcessState,
    state::{NODE_A, Simulation},
};

/// Rounds within which the nodes must converge (I5). The slowest scenario takes five.
const MAX_ROUNDS: usize = 12;

/// Requests of one node in one round, for the same reason.
const MAX_REQUESTS: usize = 32;

impl Simulation<'_> {
    /// Runs the protocol until nothing changes, and checks the invariants: first without audits,
    /// since most faults must be repaired at once, then with audits, which must find nothing to
    /// repair.
    pub(crate) async fn converge(&mut self) {
        self.run_until_stable(false).await;
        self.check_invariants().await;
        self.converge_with_audits().await;
    }

    /// Runs the protocol with audits until nothing changes, and checks the invariants: for faults
    /// that only an audit, or the entry count of a renewal, can detect.
    pub(crate) async fn converge_with_audits(&mut self) {
        self.run_until_stable(true).await;
        self.check_invariants().await;
    }

    async fn run_until_stable(&mut self, audit: bool) {
        let is_dead = |node: &usize| self.nodes[*node].process_state == ProcessState::Dead;
        let dead: Vec<_> = (NODE_A..self.nodes.len()).filter(is_dead).collect();
        if !dead.is_empty() {
            self.expire_leases(&dead).await;
        }
        let mut before = self.fingerprint().await;
        for _ in 0..MAX_ROUNDS {
            self.round(audit).await;
            let after = self.fingerprint().await;
            if before == after {
                return;
            }
            before = after;
        }
        panic!(
            "I5: the nodes still change after {MAX_ROUNDS} rounds; \
             look for ids that two nodes claim in turn: {before}"
        );
    }

    async fn round(&mut self, audit: bool) {
        for node in self.running_nodes() {
            self.renew(node).await;
            self.flush(node).await;
        }
        self.deliver_evicts();
        for node in self.running_nodes() {
            self.flush(node).await;
            if audit && self.is_joined(node) {
                self.audit(node).await;
                self.flush(node).await;
            }
        }
        self.reap_round().await;
    }

    /// Sends, executes and answers everything that a node wants now.
    pub(crate) async fn flush(&mut self, node: usize) {
        for _ in 0..MAX_REQUESTS {
            if self.nodes[node].stopped != Some(StopReason::SessionLost) {
                self.send(node).await;
            }
            if !(self.execute_next(node).await | self.deliver_reply(node)) {
                return;
            }
        }
        let address = &self.nodes[node].address;
        panic!(
            "I5: {address} sends more than {MAX_REQUESTS} requests in one round; \
             look for a reply that makes it repeat a claim or release"
        );
    }

    /// Delivers the evict requests. Those to paused nodes wait; those to dead nodes are lost.
    pub(crate) fn deliver_evicts(&mut self) {
        for (to, id) in std::mem::take(&mut self.evicts) {
            let Some(node) = self.node_at(&to) else {
                continue;
            };
            match self.nodes[node].process_state {
                ProcessState::Running => self.nodes[node].table.recheck(id.key()),
                ProcessState::Paused => self.evicts.push_back((to, id)),
                ProcessState::Dead => {}
            }
        }
    }

    pub(super) fn running_nodes(&self) -> Vec<usize> {
        let is_running = |node: &usize| self.nodes[*node].process_state == ProcessState::Running;
        (NODE_A..self.nodes.len()).filter(is_running).collect()
    }
}
