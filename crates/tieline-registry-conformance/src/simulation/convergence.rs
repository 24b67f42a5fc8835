//! Runs the protocol until nothing changes, then checks the invariants.
//!
//! Owns the order of a round: renewals, requests, evicts, audits, the reaper.

use super::{
    node::{ProcessState, Stopped},
    state::{NODE_A, Simulation},
};

/// Rounds after which a world must rest (I5). The longest way of a scenario takes five.
const MAX_ROUNDS: usize = 12;

/// Operations of one node in one round, for the same reason.
const MAX_REQUESTS: usize = 32;

impl Simulation<'_> {
    /// Lets the protocol run until nothing changes any more, and judges what is left: first by what
    /// happens at once, without an audit, then with audits, which must find nothing to do.
    pub(crate) async fn converge(&mut self) {
        self.run_until_stable(false).await;
        self.check_invariants().await;
        self.converge_with_audits().await;
    }

    /// The same where only an audit, or the alarm in its stead, can tell that something is wrong.
    pub(crate) async fn converge_with_audits(&mut self) {
        self.run_until_stable(true).await;
        self.check_invariants().await;
    }

    async fn run_until_stable(&mut self, audit: bool) {
        let down = |node: &usize| self.nodes[*node].process_state == ProcessState::Down;
        let dead: Vec<_> = (NODE_A..self.nodes.len()).filter(down).collect();
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
        panic!("I5: the protocol does not come to rest: {before}");
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

    /// Sends, executes and answers all that a node wants by now.
    pub(crate) async fn flush(&mut self, node: usize) {
        for _ in 0..MAX_REQUESTS {
            if self.nodes[node].stopped != Some(Stopped::Lost) {
                self.send(node).await;
            }
            if !(self.execute_next(node).await | self.deliver_reply(node)) {
                return;
            }
        }
        panic!("I5: a node asks for ever");
    }

    /// Evictions reach their nodes; those to nodes that are paused wait.
    pub(crate) fn deliver_evicts(&mut self) {
        for (to, id) in std::mem::take(&mut self.evicts) {
            let Some(node) = self.node_at(&to) else {
                continue;
            };
            match self.nodes[node].process_state {
                ProcessState::Up => self.nodes[node].table.evicted(&id),
                ProcessState::Paused => self.evicts.push_back((to, id)),
                ProcessState::Down => {}
            }
        }
    }

    pub(super) fn running_nodes(&self) -> Vec<usize> {
        let up = |node: &usize| self.nodes[*node].process_state == ProcessState::Up;
        (NODE_A..self.nodes.len()).filter(up).collect()
    }
}
