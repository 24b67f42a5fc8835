//! Simulated nodes on a registry, moved step by step.
//!
//! Owns what a scenario may do: connections come and go, operations are sent, executed and answered,
//! one step each, in any order. What nodes do by themselves is `drive`'s, what must hold in the end is
//! `judge`'s, the routing of an emit is `emit`'s, what goes wrong is `faults`. Knows no store.
//!
//! All nodes share one clock, which the registry's answers advance. An operation is a flight: taken
//! from the slots, executed, answered; steps are about the oldest flight of a node.

mod drive;
mod emit;
mod faults;
mod invariants;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tieline_registry::{
    ClientId, ExpiredNode, NodeSession, Registry, RegistryError, Renewal, Stamp,
    claim_table::{ClaimBatch, ClaimReply, ClaimTable, Effect, Lane, Request},
};
use uuid::Uuid;

pub(super) use self::emit::{Emit, EmitOutcome};
use super::RegistryHarness;

pub(super) const NODE_A: usize = 0;
pub(super) const NODE_B: usize = 1;
/// Another process that advertises A's address, in [`Simulation::with_twin`].
pub(super) const DUPLICATE_OF_A: usize = 2;

/// The client that most scenarios are about.
pub(super) const ID: &str = "client";

/// Longer than any scenario takes.
const LONG_LEASE: Duration = Duration::from_mins(2);

pub(super) struct Simulation<'a> {
    harness: &'a dyn RegistryHarness,
    pub(super) registry: Arc<dyn Registry>,
    nodes: Vec<Node>,
    /// Evictions on their way.
    evicts: VecDeque<(Arc<str>, ClientId)>,
    clock: u64,
    /// Of each client, its last connection; what clients of a foreign node have counts too.
    newest: BTreeMap<ClientId, u32>,
    foreign: BTreeMap<ClientId, Arc<str>>,
    /// Leases that the reaper saw run out one round ago.
    seen_expired: Vec<ExpiredNode>,
    lease: Duration,
}

struct Node {
    address: Arc<str>,
    process: Uuid,
    process_state: ProcessState,
    session: Option<NodeSession>,
    /// Nothing is sent: the session is lost, or an answer is missing.
    stopped: Option<Stopped>,
    /// Another process has the address.
    address_taken: bool,
    table: ClaimTable<u32>,
    live: HashMap<ClientId, Connection>,
    pending: VecDeque<PendingRequest>,
    /// Beats in a row after which the registry had another number of entries.
    odd: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProcessState {
    Up,
    Paused,
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    Lost,
    NoReply,
}

/// A connection: the number that the scenario gave it, and its arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Connection {
    number: u32,
    stamp: Stamp,
}

struct PendingRequest {
    request: Request,
    answer: Option<ClaimReply>,
}

impl Node {
    fn new(address: &str) -> Self {
        Self {
            address: address.into(),
            process: Uuid::now_v7(),
            process_state: ProcessState::Up,
            session: None,
            stopped: None,
            address_taken: false,
            table: ClaimTable::default(),
            live: HashMap::new(),
            pending: VecDeque::new(),
            odd: 0,
        }
    }
}

pub(super) fn id(name: &str) -> ClientId {
    ClientId::new(name).expect("a good id")
}

/// What the registry answered; the suite needs a registry that can be reached.
pub(super) fn expect_reply<T>(answer: Result<T, RegistryError>) -> T {
    answer.unwrap_or_else(|error| panic!("the registry failed: {error} ({error:?})"))
}

impl<'a> Simulation<'a> {
    /// Nodes A and B, whose leases outlast the scenario.
    pub(super) async fn new(harness: &'a dyn RegistryHarness) -> Self {
        Self::with_lease(harness, LONG_LEASE).await
    }

    /// Nodes A and B, with short leases.
    pub(super) async fn with_short_leases(harness: &'a dyn RegistryHarness) -> Self {
        Self::with_lease(harness, harness.lease()).await
    }

    /// Nodes A and B, and a process with the address of A that has not joined.
    pub(super) async fn with_duplicate_address(harness: &'a dyn RegistryHarness) -> Self {
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
    pub(super) fn now(&mut self) -> Stamp {
        self.clock += 1;
        Stamp(self.clock)
    }

    pub(super) fn address(&self, node: usize) -> Arc<str> {
        self.nodes[node].address.clone()
    }

    pub(super) fn session(&self, node: usize) -> NodeSession {
        let session = self.nodes[node].session.clone();
        session.expect("the node has joined")
    }

    /// Whether a node may send.
    pub(super) fn is_joined(&self, node: usize) -> bool {
        self.nodes[node].table.is_joined()
    }

    /// Whether a node has a connection of this client.
    pub(super) fn is_connected(&self, node: usize, name: &str) -> bool {
        self.nodes[node].live.contains_key(name)
    }

    /// Whether a node has sent what is not answered.
    pub(super) fn has_pending_request(&self, node: usize) -> bool {
        !self.nodes[node].pending.is_empty()
    }

    /// Whether the registry tells a node with each beat how many entries it has.
    pub(super) async fn reports_entry_count(&mut self, node: usize) -> bool {
        let (session, now) = (self.session(node), self.now());
        match expect_reply(self.registry.renew(&session, now).await) {
            Renewal::Renewed(lease_info) => lease_info.held.is_some(),
            other => panic!("a steady lease is not renewed: {other:?}"),
        }
    }

    /// The process to which an address leads: the first that advertises it.
    fn node_at(&self, address: &str) -> Option<usize> {
        self.nodes.iter().position(|node| *node.address == *address)
    }
}

/// Connections.
impl Simulation<'_> {
    /// A connection arrives and is accepted.
    pub(super) fn connect(&mut self, node: usize, number: u32) {
        self.connect_as(node, number, ID);
    }

    pub(super) fn connect_as(&mut self, node: usize, number: u32, name: &str) {
        let stamp = self.arrive(number, name);
        self.accept(node, number, name, stamp);
    }

    /// A connection arrives, and waits to be accepted.
    pub(super) fn arrive(&mut self, number: u32, name: &str) -> Stamp {
        self.newest.insert(id(name), number);
        self.now()
    }

    /// A connection that has arrived is accepted; an older one here closes.
    pub(super) fn accept(&mut self, node: usize, number: u32, name: &str, stamp: Stamp) {
        let node = &mut self.nodes[node];
        node.live.insert(id(name), Connection { number, stamp });
        node.table.connect(&id(name), stamp, number, false);
    }

    pub(super) fn disconnect(&mut self, node: usize) {
        self.disconnect_as(node, ID);
    }

    pub(super) fn disconnect_as(&mut self, node: usize, name: &str) {
        let node = &mut self.nodes[node];
        let live = node.live.remove(name).expect("a connection to end");
        node.table.disconnect(name, |number| *number == live.number);
    }

    /// A client connects to a node that knows no stamps and writes unconditionally.
    pub(super) async fn connect_to_legacy_node(&mut self, number: u32) {
        let address = "go.test:8000";
        self.newest.insert(id(ID), number);
        self.foreign.insert(id(ID), address.into());
        expect_reply(self.registry.set(ID, address).await);
    }

    /// A newer connection is here; the foreign node will not be told.
    pub(super) fn forget_legacy_connection(&mut self) {
        self.foreign.remove(ID);
    }

    /// It disconnects there, which deletes the entry, whosever it is.
    pub(super) async fn disconnect_from_legacy_node(&mut self) {
        self.foreign.remove(ID);
        expect_reply(self.registry.delete(ID).await);
    }
}

/// Operations.
impl Simulation<'_> {
    /// What a node wants to ask takes off.
    pub(super) async fn send(&mut self, node: usize) {
        if self.nodes[node].stopped == Some(Stopped::NoReply) {
            self.resume(node).await;
        }
        let now = self.now();
        let Node { table, pending, .. } = &mut self.nodes[node];
        let requests = [Lane::Urgent, Lane::Slow].map(|lane| table.take(lane, now, 512));
        let answer = None;
        pending.extend(
            requests
                .into_iter()
                .flatten()
                .map(|request| PendingRequest {
                    request,
                    answer: answer.clone(),
                }),
        );
    }

    /// The registry carries out a node's oldest request. Whether there was one.
    pub(super) async fn execute_next(&mut self, node: usize) -> bool {
        let pending = &self.nodes[node].pending;
        let Some(at) = pending.iter().position(|request| request.answer.is_none()) else {
            return false;
        };
        let answer = self.carry_out(&pending[at].request).await;
        self.nodes[node].pending[at].answer = Some(answer);
        true
    }

    /// A node gets its oldest answer. Whether there was one.
    pub(super) fn deliver_reply(&mut self, node: usize) -> bool {
        let pending = &mut self.nodes[node].pending;
        let Some(at) = pending.iter().position(|request| request.answer.is_some()) else {
            return false;
        };
        let request = pending.remove(at).expect("it was there");
        self.answered(node, request.request, request.answer.expect("it has one"));
        true
    }

    /// Sent, executed, answered.
    pub(super) async fn round_trip(&mut self, node: usize) {
        self.send(node).await;
        assert!(self.execute_next(node).await, "a node had nothing to send");
        self.deliver_reply(node);
    }

    /// A node gives up on its oldest operation, executed or not. A request that was not executed yet
    /// is lost, unless the scenario has it executed late.
    pub(super) fn time_out(&mut self, node: usize) -> Request {
        let request = self.nodes[node].pending.pop_front();
        let request = request.expect("an operation to give up on").request;
        self.answered(node, request.clone(), ClaimReply::NoReply);
        request
    }

    /// A request is executed that nobody waits for any more.
    pub(super) async fn execute(&mut self, request: &Request) -> ClaimReply {
        self.carry_out(request).await
    }

    async fn carry_out(&self, Request { session, batch }: &Request) -> ClaimReply {
        match batch {
            ClaimBatch::Claims(claims) => {
                ClaimReply::Claims(expect_reply(self.registry.claim(session, claims).await))
            }
            ClaimBatch::Releases(releases) => {
                let served = self.live_entries(batch.ids(), false).await;
                let answer = expect_reply(self.registry.release(session, releases).await);
                self.assert_not_removed(&served, "a release").await;
                ClaimReply::Releases(answer)
            }
        }
    }

    fn answered(&mut self, node: usize, request: Request, reply: ClaimReply) {
        let effects = self.nodes[node].table.answered(request, reply);
        for effect in effects {
            match effect {
                Effect::Granted(_) => {}
                Effect::Refused(number, stamp) => self.refused(node, Connection { number, stamp }),
                Effect::Evict(to, id) => self.evicts.push_back((to, id)),
                Effect::Stopped(lost) => {
                    let stopped = if lost {
                        Stopped::Lost
                    } else {
                        Stopped::NoReply
                    };
                    self.nodes[node].stopped = Some(stopped);
                }
            }
        }
    }

    fn refused(&mut self, node: usize, refused: Connection) {
        let live = &mut self.nodes[node].live;
        let id = live.iter().find(|(_, live)| **live == refused);
        let id = id.expect("a connection that is refused is there").0.clone();
        live.remove(&id);
        assert_ne!(
            self.newest[&id], refused.number,
            "I4: the newest connection of {id:?} is closed by the protocol"
        );
    }
}
