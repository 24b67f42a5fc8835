//! Nodes, links and moving clients around an ordering queue, step by step.

use std::{
    cell::{Ref, RefCell, RefMut},
    collections::{HashMap, VecDeque},
    thread,
};

use proptest::prelude::*;
use tokio::time::Instant;

use super::messages::{Node, Numbered};
use crate::cluster::ordering::{
    OrderingQueue, Outlet, PendingLookup, SenderId, Started, StartedMulticast,
};

pub(super) const CLIENTS: usize = 2;
pub(super) const SENDERS: usize = 2;
/// The node of the queue, which needs no link.
const HERE: usize = 0;
const NODES: usize = 3;

#[derive(Debug)]
enum Request {
    One(Box<Numbered>),
    Many(Numbered),
}

/// The link to a node: what is on the way there, and back.
#[derive(Debug, Default)]
struct TestLink {
    there: VecDeque<Request>,
    back: VecDeque<(Box<Numbered>, bool)>,
    refuses: bool,
}

/// What a client received: on which of its connections, from whom, and which number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) connection: usize,
    pub(super) sender: SenderId,
    pub(super) number: u32,
    pub(super) by_id: bool,
}

#[derive(Debug, Default)]
struct World {
    /// Where each client is, and how many connections it has had.
    at: [usize; CLIENTS],
    connections: [usize; CLIENTS],
    links: [TestLink; NODES],
    lookups: VecDeque<(PendingLookup, Node)>,
    cached: HashMap<usize, usize>,
    arrivals: [Vec<Arrival>; CLIENTS],
    sent: u32,
    undecided: i64,
}

pub(super) struct Simulation {
    queue: OrderingQueue<Numbered, Numbered, Node>,
    world: RefCell<World>,
    senders: [SenderId; SENDERS],
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Emit(usize, usize),
    Broadcast(usize),
    /// A client moves to a node.
    Move(usize, usize),
    /// A node handles the next request.
    Handle(usize),
    /// The next outcome comes back.
    Answer(usize),
    /// A lookup is answered: the first or the last.
    LookUp(bool),
    /// A link begins or ends to refuse requests.
    Refuse(usize, bool),
    /// Cached routes are forgotten.
    Forget,
    /// A route is cached, whether it is right or not.
    Cache(usize, usize),
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..SENDERS, 0..CLIENTS).prop_map(|(sender, client)| Step::Emit(sender, client)),
        3 => (0..SENDERS).prop_map(Step::Broadcast),
        2 => (0..CLIENTS, 0..NODES).prop_map(|(client, node)| Step::Move(client, node)),
        6 => (1..NODES).prop_map(Step::Handle),
        6 => (1..NODES).prop_map(Step::Answer),
        4 => any::<bool>().prop_map(Step::LookUp),
        1 => (1..NODES, any::<bool>()).prop_map(|(node, refuses)| Step::Refuse(node, refuses)),
        1 => Just(Step::Forget),
        1 => (0..CLIENTS, 1..NODES).prop_map(|(client, node)| Step::Cache(client, node)),
    ];
    prop::collection::vec(step, 0..120)
}

impl Simulation {
    pub(super) fn new() -> Self {
        let sender = |_| thread::spawn(SenderId::current).join().unwrap();
        Self {
            queue: OrderingQueue::new(1_000_000),
            world: RefCell::default(),
            senders: std::array::from_fn(sender),
        }
    }

    fn world(&self) -> Ref<'_, World> {
        self.world.borrow()
    }

    fn world_mut(&self) -> RefMut<'_, World> {
        self.world.borrow_mut()
    }

    pub(super) fn play(&self, step: &Step) {
        match *step {
            Step::Emit(sender, client) => self.emit(sender, client),
            Step::Broadcast(sender) => self.broadcast(sender),
            Step::Move(client, node) => self.move_client(client, node),
            Step::Handle(node) => self.handle(node),
            Step::Answer(node) => self.answer(node),
            Step::LookUp(is_first) => self.look_up(is_first),
            Step::Refuse(node, refuses) => self.world_mut().links[node].refuses = refuses,
            Step::Forget => self.world_mut().cached.clear(),
            Step::Cache(client, node) => drop(self.world_mut().cached.insert(client, node)),
        }
    }

    /// Goes on until nothing happens by itself.
    pub(super) fn settle(&self) {
        for node in 1..NODES {
            self.world_mut().links[node].refuses = false;
        }
        let is_busy = |world: &World| {
            let links = &world.links;
            !world.lookups.is_empty()
                || links
                    .iter()
                    .any(|link| !link.there.is_empty() || !link.back.is_empty())
        };
        while is_busy(&self.world()) {
            self.look_up(true);
            for node in 1..NODES {
                self.handle(node);
                self.answer(node);
            }
        }
    }

    /// Whether nothing waits and each message has been decided once.
    pub(super) fn is_settled(&self) -> bool {
        self.queue.is_idle() && self.world().undecided == 0
    }

    pub(super) fn arrivals(&self, client: usize) -> Vec<Arrival> {
        self.world().arrivals[client].clone()
    }

    fn message(&self, sender: usize, client: usize) -> Numbered {
        let mut world = self.world_mut();
        world.sent += 1;
        Numbered {
            client,
            id: client.to_string().into(),
            number: world.sent,
            sender: self.senders[sender],
            started: Instant::now(),
            order: 0,
            hops: 0,
            is_cached: false,
        }
    }

    fn emit(&self, sender: usize, client: usize) {
        let message = Box::new(self.message(sender, client));
        self.world_mut().undecided += 1;
        let is_here = self.world().at[client] == HERE;
        if is_here && !self.queue.must_wait(message.sender, 0, &message.id) {
            return self.deliver(&message);
        }
        let cached = self.cached(client);
        let started = self.queue.start(message, cached.as_ref());
        self.on_started(started, cached);
    }

    fn cached(&self, client: usize) -> Option<Node> {
        self.world().cached.get(&client).copied().map(Node::new)
    }

    fn on_started(&self, started: Started<Numbered>, cached: Option<Node>) {
        match started {
            Started::Forward(mut message) => {
                message.is_cached = true;
                self.forward(message, cached.unwrap().0);
            }
            Started::Queued => {}
            Started::NeedsLookup(lookup) => self.ask(Some(lookup)),
            Started::Full(_) => panic!("full"),
        }
    }

    fn broadcast(&self, sender: usize) {
        match self.queue.start_multicast(self.message(sender, 0)) {
            StartedMulticast::Send(message) => self.multicast(message),
            StartedMulticast::Queued => {}
            StartedMulticast::Full(_) => panic!("full"),
        }
    }

    fn move_client(&self, client: usize, node: usize) {
        let mut world = self.world_mut();
        if world.at[client] == node {
            return;
        }
        world.at[client] = node;
        world.connections[client] += 1;
        if node == HERE {
            world.cached.remove(&client);
            drop(world);
            self.queue.hold(0, &client.to_string());
        }
    }

    fn handle(&self, node: usize) {
        let Some(request) = self.world_mut().links[node].there.pop_front() else {
            return;
        };
        match request {
            Request::One(message) => {
                let is_there = self.world().at[message.client] == node;
                if is_there {
                    self.arrive(message.client, &message, true);
                }
                self.world_mut().links[node]
                    .back
                    .push_back((message, is_there));
            }
            Request::Many(message) => self.deliver_to_all(&message, node),
        }
    }

    fn deliver_to_all(&self, message: &Numbered, node: usize) {
        for client in 0..CLIENTS {
            if self.world().at[client] == node {
                self.arrive(client, message, false);
            }
        }
    }

    fn answer(&self, node: usize) {
        let Some((message, is_delivered)) = self.world_mut().links[node].back.pop_front() else {
            return;
        };
        if is_delivered {
            self.queue.decide(&message, true, &self);
            self.world_mut().undecided -= 1;
        } else {
            self.world_mut().cached.remove(&message.client);
            self.ask(self.queue.take_back(message, true, &self));
        }
    }

    /// Asks where a client is; the answer comes later.
    fn ask(&self, lookup: Option<PendingLookup>) {
        let Some(lookup) = lookup else { return };
        let mut world = self.world_mut();
        let client: usize = lookup.id.parse().unwrap();
        let node = Node::new(world.at[client]);
        world.lookups.push_back((lookup, node));
    }

    fn look_up(&self, is_first: bool) {
        let mut world = self.world_mut();
        let answered = if is_first {
            world.lookups.pop_front()
        } else {
            world.lookups.pop_back()
        };
        drop(world);
        if let Some((lookup, node)) = answered {
            self.queue.resolve(&lookup, &node, &self);
        }
    }

    fn forward(&self, message: Box<Numbered>, node: usize) {
        let mut world = self.world_mut();
        if !world.links[node].refuses {
            return world.links[node].there.push_back(Request::One(message));
        }
        let is_cached = message.is_cached;
        if is_cached {
            world.cached.remove(&message.client);
        } else {
            world.undecided -= 1;
        }
        drop(world);
        if is_cached {
            self.ask(self.queue.take_back(message, false, &self));
        } else {
            self.queue.decide(&message, false, &self);
        }
    }

    fn deliver(&self, message: &Numbered) {
        self.arrive(message.client, message, true);
        self.world_mut().undecided -= 1;
    }

    fn arrive(&self, client: usize, message: &Numbered, by_id: bool) {
        let mut world = self.world_mut();
        let connection = world.connections[client];
        world.arrivals[client].push(Arrival {
            connection,
            sender: message.sender,
            number: message.number,
            by_id,
        });
    }
}

impl Outlet<Numbered, Numbered, Node> for &Simulation {
    fn dispatch(&self, mut message: Box<Numbered>, lookup: &Node) {
        message.hops += 1;
        message.is_cached = false;
        let is_here = self.world().at[message.client] == HERE;
        if message.hops > 20 {
            self.give_up(message);
        } else if is_here && !self.queue.is_undecided(&message) {
            self.deliver(&message);
        } else if is_here || lookup.0 == HERE {
            self.ask(self.queue.put_back(message));
        } else {
            self.world_mut().cached.insert(message.client, lookup.0);
            self.queue.on_forward(&message, &lookup.1);
            self.forward(message, lookup.0);
        }
    }

    fn resume(&self, message: Box<Numbered>) {
        let is_here = self.world().at[message.client] == HERE;
        if is_here && !self.queue.is_waiting(0, &message.id) {
            return self.deliver(&message);
        }
        let cached = self.cached(message.client);
        let started = self.queue.resume(message, cached.as_ref());
        self.on_started(started, cached);
    }

    fn multicast(&self, message: Numbered) {
        self.deliver_to_all(&message, HERE);
        for node in 1..NODES {
            let mut world = self.world_mut();
            if !world.links[node].refuses {
                world.links[node]
                    .there
                    .push_back(Request::Many(message.clone()));
            }
        }
    }

    fn give_up(&self, _: Box<Numbered>) {
        self.world_mut().undecided -= 1;
    }
}
