//! What goes wrong: lost messages, dead and paused processes, stores that lose data.

use tieline_registry::claim_table::Request;

use super::{
    node::{Node, ProcessState},
    state::{ID, Simulation},
};
use crate::harness::Skipped;

impl Simulation<'_> {
    /// An eviction reaches a node, whoever sent it and when.
    pub(crate) fn deliver_stale_evict(&mut self, node: usize) {
        self.nodes[node].table.evicted(ID);
    }

    /// What is on its way is lost.
    pub(crate) fn drop_evicts(&mut self) {
        self.evicts.clear();
    }

    /// A process dies; its requests may be executed yet.
    pub(crate) fn crash(&mut self, node: usize) -> Vec<Request> {
        let node = &mut self.nodes[node];
        let fresh = Node::new(&node.address);
        let dead = std::mem::replace(node, fresh);
        node.process_state = ProcessState::Down;
        let late = dead.pending.into_iter();
        let late = late.filter(|request| request.answer.is_none());
        late.map(|request| request.request).collect()
    }

    /// Another process starts where one died.
    pub(crate) fn restart(&mut self, node: usize) {
        self.nodes[node].process_state = ProcessState::Up;
    }

    pub(crate) fn pause(&mut self, node: usize) {
        self.nodes[node].process_state = ProcessState::Paused;
    }

    pub(crate) fn wake_up(&mut self, node: usize) {
        self.nodes[node].process_state = ProcessState::Up;
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
