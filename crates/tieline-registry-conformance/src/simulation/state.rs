//! The state of a simulation, and how it starts.
//!
//! Owns [`Simulation`]: the registry under test, the nodes, the clock that they share, and the
//! evict requests between them. What happens to it is in the modules above.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tieline_registry::{ClientId, Epoch, ExpiredNode, NodeSession, Registry, Renewal, Stamp};

use super::node::Node;
use crate::{
    expect::{expect_reply, report_at},
    harness::RegistryHarness,
};

pub(crate) const NODE_A: usize = 0;
pub(crate) const NODE_B: usize = 1;
/// Another process that advertises A's address, in [`Simulation::with_duplicate_address`].
pub(crate) const DUPLICATE_OF_A: usize = 2;

/// The client that most scenarios are about.
pub(crate) const ID: &str = "client";

/// Longer than any scenario takes, so that no lease expires by chance on a busy machine.
const LONG_LEASE: Duration = Duration::from_mins(2);

pub(crate) struct Simulation<'a> {
    pub(super) harness: &'a dyn RegistryHarness,
    pub(crate) registry: Arc<dyn Registry>,
    pub(super) nodes: Vec<Node>,
    /// Evict requests that have not been delivered: the node's address and the id.
    pub(super) evicts: VecDeque<(Arc<str>, ClientId)>,
    pub(super) clock: u64,
    /// The last connection of each client, on a legacy node too.
    pub(super) newest: BTreeMap<ClientId, u32>,
    /// The clients of the legacy node, with its address.
    pub(super) foreign: BTreeMap<ClientId, Arc<str>>,
    /// Nodes that were expired in the last round of the reaper. Only what is still expired is
    /// reaped.
    pub(super) seen_expired: Vec<ExpiredNode>,
    pub(super) lease: Duration,
}

impl<'a> Simulation<'a> {
    /// Nodes A and B, with leases that outlast the scenario.
    pub(crate) async fn new(harness: &'a dyn RegistryHarness) -> Self {
        Self::with_lease(harness, LONG_LEASE).await
    }

    /// Nodes A and B, with leases of [`RegistryHarness::lease`], which a scenario can let expire.
    pub(crate) async fn with_short_leases(harness: &'a dyn RegistryHarness) -> Self {
        Self::with_lease(harness, harness.lease()).await
    }

    /// Nodes A and B, and a second process with A's address that has not joined.
    pub(crate) async fn with_duplicate_address(harness: &'a dyn RegistryHarness) -> Self {
        let mut sim = Self::new(harness).await;
        sim.nodes.push(Node::new("a.test:7000"));
        sim
    }

    /// Nodes A and B, with a second process at A's address if `duplicate`, and leases that can expire if
    /// `short_leases`.
    pub(crate) async fn for_trace(
        harness: &'a dyn RegistryHarness,
        duplicate: bool,
        short_leases: bool,
    ) -> Self {
        let lease = if short_leases {
            harness.lease()
        } else {
            LONG_LEASE
        };
        let mut sim = Self::with_lease(harness, lease).await;
        if duplicate {
            sim.nodes.push(Node::new("a.test:7000"));
        }
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

    /// A new stamp of the clock that all nodes share; strictly increasing.
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

    /// The registry's epoch, as of a node's last join or renewal.
    pub(crate) fn epoch(&self, node: usize) -> Epoch {
        self.nodes[node].epoch
    }

    /// Whether a node has a session in which it may send requests.
    pub(crate) fn is_joined(&self, node: usize) -> bool {
        self.nodes[node].table.is_joined()
    }

    /// Whether a node has a connection of this client.
    pub(crate) fn is_connected(&self, node: usize, name: &str) -> bool {
        self.nodes[node].connections.contains_key(name)
    }

    /// Whether a node has a request without a reply.
    pub(crate) fn has_pending_request(&self, node: usize) -> bool {
        !self.nodes[node].pending.is_empty()
    }

    /// Whether the registry reports the number of a node's entries with each renewal.
    pub(crate) async fn reports_entry_count(&mut self, node: usize) -> bool {
        let (session, now) = (self.session(node), self.now());
        match expect_reply(self.registry.renew(&session, report_at(now)).await) {
            Renewal::Renewed(lease_info) => lease_info.entry_count.is_some(),
            other => panic!("the registry did not renew a lease that is alive: {other:?}"),
        }
    }

    /// The process that an address leads to: the first one that advertises it.
    pub(super) fn node_at(&self, address: &str) -> Option<usize> {
        self.nodes.iter().position(|node| *node.address == *address)
    }
}
