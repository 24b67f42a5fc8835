//! What goes wrong: lost messages, dead and paused processes, stores that lose data.

use tieline_registry::claim_table::Request;

use super::{ID, Node, ProcessState, Simulation};
use crate::Skipped;

impl Simulation<'_> {
    /// An eviction reaches a node, whoever sent it and when.
    pub(in super::super) fn deliver_stale_evict(&mut self, node: usize) {
        self.nodes[node].table.evicted(ID);
    }

    /// What is on its way is lost.
    pub(in super::super) fn drop_evicts(&mut self) {
        self.evicts.clear();
    }

    /// A process dies; its requests may be executed yet.
    pub(in super::super) fn crash(&mut self, node: usize) -> Vec<Request> {
        let node = &mut self.nodes[node];
        let fresh = Node::new(&node.address);
        let dead = std::mem::replace(node, fresh);
        node.process_state = ProcessState::Down;
        let late = dead.pending.into_iter();
        let late = late.filter(|request| request.answer.is_none());
        late.map(|request| request.request).collect()
    }

    /// Another process starts where one died.
    pub(in super::super) fn restart(&mut self, node: usize) {
        self.nodes[node].process_state = ProcessState::Up;
    }

    pub(in super::super) fn pause(&mut self, node: usize) {
        self.nodes[node].process_state = ProcessState::Paused;
    }

    pub(in super::super) fn wake_up(&mut self, node: usize) {
        self.nodes[node].process_state = ProcessState::Up;
    }

    pub(in super::super) async fn wipe(&mut self) -> Result<(), Skipped> {
        self.harness.wipe().await
    }

    pub(in super::super) async fn snapshot(&mut self) -> Result<(), Skipped> {
        self.harness.snapshot().await
    }

    pub(in super::super) async fn restore(&mut self) -> Result<(), Skipped> {
        self.harness.restore().await
    }
}
