//! The state of a simulation, and how it starts.
//!
//! Owns [`Simulation`]: the registry under test, the nodes, the clock that they share, and the evict
//! requests between them. What happens to it is in the modules above.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tieline_registry::{ClientId, ExpiredNode, NodeSession, Registry, Renewal, Stamp};

use super::node::Node;
use crate::{expect::expect_reply, harness::RegistryHarness};

pub(crate) const NODE_A: usize = 0;
pub(crate) const NODE_B: usize = 1;
/// Another process that advertises A's address, in [`Simulation::with_twin`].
pub(crate) const DUPLICATE_OF_A: usize = 2;

/// The client that most scenarios are about.
pub(crate) const ID: &str = "client";

/// Longer than any scenario takes.
const LONG_LEASE: Duration = Duration::from_mins(2);

pub(crate) struct Simulation<'a> {
    pub(super) harness: &'a dyn RegistryHarness,
    pub(crate) registry: Arc<dyn Registry>,
    pub(super) nodes: Vec<Node>,
    /// Evictions on their way.
    pub(super) evicts: VecDeque<(Arc<str>, ClientId)>,
    pub(super) clock: u64,
    /// Of each client, its last connection; what clients of a foreign node have counts too.
    pub(super) newest: BTreeMap<ClientId, u32>,
    pub(super) foreign: BTreeMap<ClientId, Arc<str>>,
    /// Leases that the reaper saw run out one round ago.
    pub(super) seen_expired: Vec<ExpiredNode>,
    pub(super) lease: Duration,
}

impl<'a> Simulation<'a> {
    /// Nodes A and B, whose leases outlast the scenario.
    pub(crate) async fn new(harness: &'a dyn RegistryHarness) -> Self {
        Self::with_lease(harness, LONG_LEASE).await
    }

    /// Nodes A and B, with short leases.
    pub(crate) async fn with_short_leases(harness: &'a dyn RegistryHarness) -> Self {
        Self::with_lease(harness, harness.lease()).await
    }

    /// Nodes A and B, and a process with the address of A that has not joined.
    pub(crate) async fn with_duplicate_address(harness: &'a dyn RegistryHarness) -> Self {
        let mut sim = Self::new(harness).await;
        sim.nodes.push(Node::new("a.test:7000"));
        sim
    }

    async fn with_lease(harness: &'a dyn RegistryHarness, lease: Duration) -> Self {
        let mut sim = Self {
            harness,
            registry: harness.registry().await,
            nodes: ["a.test:7000", "b.test:7000"].map(Node::new).into(),
            evicts: VecDeque::new(),
            clock: 0,
            newest: BTreeMap::new(),
            foreign: BTreeMap::new(),
            seen_expired: Vec::new(),
            lease,
        };
        sim.renew(NODE_A).await;
        sim.renew(NODE_B).await;
        sim
    }

    /// The cluster's clock, strictly increasing.
    pub(crate) fn now(&mut self) -> Stamp {
        self.clock += 1;
        Stamp(self.clock)
    }

    pub(crate) fn address(&self, node: usize) -> Arc<str> {
        self.nodes[node].address.clone()
    }

    pub(crate) fn session(&self, node: usize) -> NodeSession {
        let session = self.nodes[node].session.clone();
        session.expect("the node has joined")
    }

    /// Whether a node may send.
    pub(crate) fn is_joined(&self, node: usize) -> bool {
        self.nodes[node].table.is_joined()
    }

    /// Whether a node has a connection of this client.
    pub(crate) fn is_connected(&self, node: usize, name: &str) -> bool {
        self.nodes[node].live.contains_key(name)
    }

    /// Whether a node has sent what is not answered.
    pub(crate) fn has_pending_request(&self, node: usize) -> bool {
        !self.nodes[node].pending.is_empty()
    }

    /// Whether the registry tells a node with each beat how many entries it has.
    pub(crate) async fn reports_entry_count(&mut self, node: usize) -> bool {
        let (session, now) = (self.session(node), self.now());
        match expect_reply(self.registry.renew(&session, now).await) {
            Renewal::Renewed(lease_info) => lease_info.held.is_some(),
            other => panic!("a steady lease is not renewed: {other:?}"),
        }
    }

    /// The process to which an address leads: the first that advertises it.
    pub(super) fn node_at(&self, address: &str) -> Option<usize> {
        self.nodes.iter().position(|node| *node.address == *address)
    }
}
