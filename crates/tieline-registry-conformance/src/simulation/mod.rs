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
    claim_table::{ClaimBatch, ClaimReply, ClaimRequest, ClaimTable, Effect, Lane, StopReason},
};
use uuid::Uuid;

pub(super) use self::emit::{Emit, Emitted};
use super::RegistryHarness;

pub(super) const A: usize = 0;
pub(super) const B: usize = 1;
/// Another process that advertises A's address, in [`Simulation::with_twin`].
pub(super) const TWIN: usize = 2;

/// The client that most scenarios are about.
pub(super) const ID: &str = "client";

/// Longer than any scenario takes.
const STEADY: Duration = Duration::from_mins(2);

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
    sighted: Vec<ExpiredNode>,
    lease: Duration,
}

struct Node {
    address: Arc<str>,
    process: Uuid,
    health: Health,
    session: Option<NodeSession>,
    /// Nothing is sent: the session is lost, or an answer is missing.
    stopped: Option<Stopped>,
    /// Another process has the address.
    conflict: bool,
    table: ClaimTable<u32>,
    live: HashMap<ClientId, Live>,
    flights: VecDeque<Flight>,
    /// Beats in a row after which the registry had another number of entries.
    odd: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
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
struct Live {
    number: u32,
    stamp: Stamp,
}

struct Flight {
    request: ClaimRequest,
    answer: Option<ClaimReply>,
}

impl Node {
    fn new(address: &str) -> Self {
        Self {
            address: address.into(),
            process: Uuid::now_v7(),
            health: Health::Up,
            session: None,
            stopped: None,
            conflict: false,
            table: ClaimTable::default(),
            live: HashMap::new(),
            flights: VecDeque::new(),
            odd: 0,
        }
    }
}

pub(super) fn id(name: &str) -> ClientId {
    ClientId::new(name).expect("a good id")
}

/// What the registry answered; the suite needs a registry that can be reached.
pub(super) fn done<T>(answer: Result<T, RegistryError>) -> T {
    answer.unwrap_or_else(|error| panic!("the registry failed: {error} ({error:?})"))
}

impl<'a> Simulation<'a> {
    /// Nodes A and B, whose leases outlast the scenario.
    pub(super) async fn steady(harness: &'a dyn RegistryHarness) -> Self {
        Self::new(harness, STEADY).await
    }

    /// Nodes A and B, with short leases.
    pub(super) async fn mortal(harness: &'a dyn RegistryHarness) -> Self {
        Self::new(harness, harness.lease()).await
    }

    /// Nodes A and B, and a process with the address of A that has not joined.
    pub(super) async fn with_twin(harness: &'a dyn RegistryHarness) -> Self {
        let mut world = Self::steady(harness).await;
        world.nodes.push(Node::new("a.test:7000"));
        world
    }

    async fn new(harness: &'a dyn RegistryHarness, lease: Duration) -> Self {
        let mut world = Self {
            harness,
            registry: harness.registry().await,
            nodes: ["a.test:7000", "b.test:7000"].map(Node::new).into(),
            evicts: VecDeque::new(),
            clock: 0,
            newest: BTreeMap::new(),
            foreign: BTreeMap::new(),
            sighted: Vec::new(),
            lease,
        };
        world.renew(A).await;
        world.renew(B).await;
        world
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
    pub(super) fn may_send(&self, node: usize) -> bool {
        self.nodes[node].table.is_joined()
    }

    /// Whether a node has a connection of this client.
    pub(super) fn has(&self, node: usize, name: &str) -> bool {
        self.nodes[node].live.contains_key(name)
    }

    /// Whether a node has sent what is not answered.
    pub(super) fn is_waiting(&self, node: usize) -> bool {
        !self.nodes[node].flights.is_empty()
    }

    /// Whether the registry tells a node with each beat how many entries it has.
    pub(super) async fn counts(&mut self, node: usize) -> bool {
        let (session, now) = (self.session(node), self.now());
        match done(self.registry.renew(&session, now).await) {
            Renewal::Renewed(lease_info) => lease_info.entry_count.is_some(),
            other => panic!("a steady lease is not renewed: {other:?}"),
        }
    }

    /// The process to which an address leads: the first that advertises it.
    fn at(&self, address: &str) -> Option<usize> {
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
        node.live.insert(id(name), Live { number, stamp });
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
    pub(super) async fn connect_foreign(&mut self, number: u32) {
        let address = "go.test:8000";
        self.newest.insert(id(ID), number);
        self.foreign.insert(id(ID), address.into());
        done(self.registry.set(ID, address).await);
    }

    /// A newer connection is here; the foreign node will not be told.
    pub(super) fn foreign_is_displaced(&mut self) {
        self.foreign.remove(ID);
    }

    /// It disconnects there, which deletes the entry, whosever it is.
    pub(super) async fn disconnect_foreign(&mut self) {
        self.foreign.remove(ID);
        done(self.registry.delete(ID).await);
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
        let Node { table, flights, .. } = &mut self.nodes[node];
        let requests = [Lane::Urgent, Lane::Slow].map(|lane| table.next_requests(lane, now, 512));
        let answer = None;
        flights.extend(requests.into_iter().flatten().map(|request| Flight {
            request,
            answer: answer.clone(),
        }));
    }

    /// The registry carries out a node's oldest request. Whether there was one.
    pub(super) async fn execute(&mut self, node: usize) -> bool {
        let flights = &self.nodes[node].flights;
        let Some(at) = flights.iter().position(|flight| flight.answer.is_none()) else {
            return false;
        };
        let answer = self.carry_out(&flights[at].request).await;
        self.nodes[node].flights[at].answer = Some(answer);
        true
    }

    /// A node gets its oldest answer. Whether there was one.
    pub(super) fn answer(&mut self, node: usize) -> bool {
        let flights = &mut self.nodes[node].flights;
        let Some(at) = flights.iter().position(|flight| flight.answer.is_some()) else {
            return false;
        };
        let flight = flights.remove(at).expect("it was there");
        self.answered(node, flight.request, flight.answer.expect("it has one"));
        true
    }

    /// Sent, executed, answered.
    pub(super) async fn register(&mut self, node: usize) {
        self.send(node).await;
        assert!(self.execute(node).await, "a node had nothing to send");
        self.answer(node);
    }

    /// A node gives up on its oldest operation, executed or not. A request that was not executed yet
    /// is lost, unless the scenario has it executed late.
    pub(super) fn give_up(&mut self, node: usize) -> ClaimRequest {
        let flight = self.nodes[node].flights.pop_front();
        let request = flight.expect("an operation to give up on").request;
        self.answered(node, request.clone(), ClaimReply::NoReply);
        request
    }

    /// A request is executed that nobody waits for any more.
    pub(super) async fn execute_late(&mut self, request: &ClaimRequest) -> ClaimReply {
        self.carry_out(request).await
    }

    async fn carry_out(&self, ClaimRequest { session, batch }: &ClaimRequest) -> ClaimReply {
        match batch {
            ClaimBatch::Claims(claims) => {
                ClaimReply::Claims(done(self.registry.claim(session, claims).await))
            }
            ClaimBatch::Releases(releases) => {
                let served = self.served(batch.ids(), false).await;
                let answer = done(self.registry.release(session, releases).await);
                self.spared(&served, "a release").await;
                ClaimReply::Releases(answer)
            }
        }
    }

    fn answered(&mut self, node: usize, request: ClaimRequest, reply: ClaimReply) {
        let effects = self.nodes[node].table.on_reply(request, reply);
        for effect in effects {
            match effect {
                Effect::Granted(_) => {}
                Effect::Refused(number, stamp) => self.refused(node, Live { number, stamp }),
                Effect::Evict(to, id) => self.evicts.push_back((to, id)),
                Effect::Stopped(reason) => {
                    let stopped = match reason {
                        StopReason::SessionLost => Stopped::Lost,
                        StopReason::NoReply => Stopped::NoReply,
                    };
                    self.nodes[node].stopped = Some(stopped);
                }
            }
        }
    }

    fn refused(&mut self, node: usize, refused: Live) {
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
