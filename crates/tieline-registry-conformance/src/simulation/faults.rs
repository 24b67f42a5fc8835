//! Faults: lost evict requests, dead and paused processes, stores that lose data.

use tieline_registry::claim_table::ClaimRequest;

use super::{
    node::{Node, ProcessState},
    state::{ID, Simulation},
};
use crate::harness::Skipped;

impl Simulation<'_> {
    /// An evict request for [`ID`] reaches a node, sent at any time by any node.
    pub(crate) fn deliver_stale_evict(&mut self, node: usize) {
        self.nodes[node].table.recheck(ID);
    }

    /// All undelivered evict requests are lost.
    pub(crate) fn drop_evicts(&mut self) {
        self.evicts.clear();
    }

    /// A process dies. Returns its requests that were not executed: the registry may still execute
    /// them.
    pub(crate) fn crash(&mut self, node: usize) -> Vec<ClaimRequest> {
        let node = &mut self.nodes[node];
        let fresh = Node::new(&node.address);
        let dead = std::mem::replace(node, fresh);
        node.process_state = ProcessState::Dead;
        let late = dead.pending.into_iter();
        let late = late.filter(|request| request.reply.is_none());
        late.map(|request| request.request).collect()
    }

    /// Another process starts at the address of a dead one. It has not joined.
    pub(crate) fn restart(&mut self, node: usize) {
        self.nodes[node].process_state = ProcessState::Running;
    }

    pub(crate) fn pause(&mut self, node: usize) {
        self.nodes[node].process_state = ProcessState::Paused;
    }

    pub(crate) fn wake_up(&mut self, node: usize) {
        self.nodes[node].process_state = ProcessState::Running;
    }

    pub(crate) fn is_running(&self, node: usize) -> bool {
        self.nodes[node].process_state == ProcessState::Running
    }

    pub(crate) fn paused_nodes(&self) -> Vec<usize> {
        let is_paused = |node: &usize| self.nodes[*node].process_state == ProcessState::Paused;
        (0..self.nodes.len()).filter(is_paused).collect()
    }

    pub(crate) async fn wipe(&mut self) -> Result<(), Skipped> {
        self.harness.wipe().await
    }

    pub(crate) async fn snapshot(&mut self) -> Result<(), Skipped> {
        self.harness.snapshot().await
    }

    pub(crate) async fn restore(&mut self) -> Result<(), Skipped> {
        self.harness.restore().await
    }
}
