//! What goes wrong: lost messages, dead and paused processes, stores that lose data.

use tieline_registry::claim_table::ClaimRequest;

use super::{Health, ID, Node, Simulation};
use crate::Skipped;

impl Simulation<'_> {
    /// An eviction reaches a node, whoever sent it and when.
    pub(in super::super) fn evict(&mut self, node: usize) {
        self.nodes[node].table.recheck(ID);
    }

    /// What is on its way is lost.
    pub(in super::super) fn lose_evicts(&mut self) {
        self.evicts.clear();
    }

    /// A process dies; its requests may be executed yet.
    pub(in super::super) fn crash(&mut self, node: usize) -> Vec<ClaimRequest> {
        let node = &mut self.nodes[node];
        let fresh = Node::new(&node.address);
        let dead = std::mem::replace(node, fresh);
        node.health = Health::Down;
        let late = dead.flights.into_iter();
        let late = late.filter(|flight| flight.answer.is_none());
        late.map(|flight| flight.request).collect()
    }

    /// Another process starts where one died.
    pub(in super::super) fn restart(&mut self, node: usize) {
        self.nodes[node].health = Health::Up;
    }

    pub(in super::super) fn pause(&mut self, node: usize) {
        self.nodes[node].health = Health::Paused;
    }

    pub(in super::super) fn wake(&mut self, node: usize) {
        self.nodes[node].health = Health::Up;
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
