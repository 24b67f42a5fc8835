//! The state of the world: plain values, and what changes them in one place.
//!
//! Must not know the protocol. Processes A, B and C hold connections of the clients x and y, and mirror them in
//! a registry. Messages and requests are cut into the steps between which the world may change: sent, executed,
//! answered. Time is abstract: the k-th connection has the stamp 2k, and odd stamps are those of wrong clocks.

use std::{
    collections::BTreeSet,
    ops::{Index, IndexMut},
};

use crate::setup::{Faults, Setup};

const PROCESSES: usize = 3;
const CLIENTS: usize = 2;

pub(crate) type Stamp = u8;
pub(crate) type Pid = u8;
/// Address `a` leads to process `a`; another process that advertises it is a duplicate.
pub(crate) type Addr = u8;
/// A client.
pub(crate) type Id = u8;

/// An array indexed by the small numbers above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Row<T, const N: usize>(pub(crate) [T; N]);
pub(crate) type PerProcess<T> = Row<T, PROCESSES>;
pub(crate) type PerClient<T> = Row<T, CLIENTS>;

impl<T, const N: usize> Index<u8> for Row<T, N> {
    type Output = T;

    fn index(&self, i: u8) -> &T {
        &self.0[usize::from(i)]
    }
}

impl<T, const N: usize> IndexMut<u8> for Row<T, N> {
    fn index_mut(&mut self, i: u8) -> &mut T {
        &mut self.0[usize::from(i)]
    }
}

/// The entry and the shadow of a client.
pub(crate) type Keys = (Option<Place>, Option<Own>);

/// Defines plain values.
macro_rules! values {
    ($($item:item)*) => { $(#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)] $item)* };
}

values! {
    /// One life of a process as the registry knows it. `fence` changes on etcd only.
    pub(crate) struct Session { pub(crate) pid: Pid, pub(crate) life: u8, pub(crate) fence: u8 }

    /// The layout that other programs share.
    pub(crate) enum Place { Node(Addr), Foreign }

    /// The shadow. `life` is the etcd lease.
    pub(crate) struct Own { pub(crate) addr: Addr, pub(crate) stamp: Stamp, pub(crate) life: (Pid, u8) }

    pub(crate) struct Registry {
        pub(crate) place: PerClient<Option<Place>>,
        pub(crate) own: PerClient<Option<Own>>,
        pub(crate) node: PerProcess<Option<Session>>,
        /// The lease has not expired.
        pub(crate) alive: PerProcess<bool>,
        /// The reaper has seen that it expired.
        pub(crate) sighted: PerProcess<bool>,
        /// The node has reported that it has refilled.
        pub(crate) refilled: PerProcess<bool>,
        /// The epoch began less than a lease ago.
        pub(crate) is_young: bool,
        /// Counts the claims of the draft.
        pub(crate) counter: Stamp,
    }

    /// `held`: the registry has granted this claim before. `seen`: on etcd, to put only if both keys are
    /// still so.
    pub(crate) enum Request {
        Claim { stamp: Stamp, held: bool, seen: Option<Keys> },
        Release { up_to: Stamp },
    }

    pub(crate) enum Answer {
        Granted { stamp: Stamp, displaced: Option<Addr> },
        Seen(Keys),
        Taken,
        Lost,
        Released,
    }

    pub(crate) struct Operation {
        pub(crate) order: u8,
        pub(crate) session: Session,
        pub(crate) request: Request,
        pub(crate) answer: Option<Answer>,
    }

    /// A live connection. `order` is the truth, which no process knows; `granted` is 0 until the first
    /// grant.
    pub(crate) struct Conn { pub(crate) order: u8, pub(crate) stamp: Stamp, pub(crate) granted: Stamp }

    /// What a process believes about its entry.
    #[derive(Default)]
    pub(crate) enum Known { #[default] Absent, Unknown, Mine(Stamp) }

    /// One client at one process.
    #[derive(Default)]
    pub(crate) struct Slot {
        pub(crate) conn: Option<Conn>,
        pub(crate) known: Known,
        pub(crate) op: Option<Operation>,
        pub(crate) recheck: bool,
        /// The latest stamp that was claimed here, while an entry may be left.
        pub(crate) claimed: Stamp,
        /// The registry may have lost the entry since the last join.
        pub(crate) to_refill: bool,
        /// A connection that has its stamp and is not accepted yet: its order.
        pub(crate) arrived: Option<u8>,
    }

    pub(crate) enum Health { Up, Paused, Cut, Down }

    pub(crate) struct Process {
        pub(crate) health: Health,
        pub(crate) session: Session,
        pub(crate) joined: bool,
        pub(crate) conflict: bool,
        pub(crate) slots: PerClient<Slot>,
    }

    /// A message to the first client.
    pub(crate) enum Emit { Idle, Ask, Sent(Addr, Stamp), Offline }
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) processes: PerProcess<Process>,
    pub(crate) registry: Registry,
    pub(crate) snapshot: Option<Box<Registry>>,
    pub(crate) evicts: BTreeSet<(Addr, Id, Stamp)>,
    /// Requests whose sender has given up or gone on, and that are not executed yet.
    pub(crate) late: Vec<(Addr, Id, Session, Request)>,
    /// Connections so far.
    pub(crate) orders: u8,
    pub(crate) newest: PerClient<u8>,
    pub(crate) foreign: PerClient<bool>,
    pub(crate) emit: Emit,
    /// Who last answered that the client is not there, and how many did.
    pub(crate) tried: (Option<(Addr, Stamp)>, u8),
    /// The message's client was connected, and registered or lost by the registry, all the time.
    pub(crate) covered: bool,
    /// The node at which the client was registered when the registry lost its data, and has been since.
    pub(crate) lost: Option<Addr>,
    /// A connection without a grant to which the message was delivered: its order.
    pub(crate) told: u8,
    /// Faults that may still happen.
    pub(crate) left: Faults,
    /// The violation.
    pub(crate) bad: Option<&'static str>,
}

impl Process {
    pub(crate) fn new(pid: Pid, life: u8) -> Self {
        Self {
            health: Health::Up,
            session: Session {
                pid,
                life,
                fence: 0,
            },
            joined: false,
            conflict: false,
            slots: Row([Slot::default(); _]),
        }
    }

    /// Whether everything that the registry may have lost is claimed again.
    pub(crate) fn has_refilled(&self) -> bool {
        self.slots.0.iter().all(|slot| !slot.to_refill)
    }

    pub(crate) fn has_connections(&self) -> bool {
        self.slots.0.iter().any(|slot| slot.conn.is_some())
    }
}

impl Slot {
    /// Forgets what is of no use any more, so that equal worlds look equal.
    pub(crate) fn forget_if_absent(&mut self) {
        if self.conn.is_none() && self.op.is_none() && self.known == Known::Absent {
            self.claimed = 0;
        }
    }
}

impl Registry {
    pub(crate) const EMPTY: Self = Self {
        place: Row([None; _]),
        own: Row([None; _]),
        node: Row([None; _]),
        alive: Row([false; _]),
        sighted: Row([false; _]),
        refilled: Row([false; _]),
        is_young: false,
        counter: 0,
    };

    pub(crate) fn put(&mut self, id: Id, session: Session, addr: Addr, stamp: Stamp) {
        let life = (session.pid, session.life);
        self.place[id] = Some(Place::Node(addr));
        self.own[id] = Some(Own { addr, stamp, life });
    }

    pub(crate) fn remove(&mut self, id: Id) {
        let own = self.own[id].take();
        if own.is_some_and(|own| self.place[id] == Some(Place::Node(own.addr))) {
            self.place[id] = None;
        }
    }
}

impl World {
    pub(crate) fn start(setup: &Setup) -> Self {
        let mut registry = Registry::EMPTY;
        registry.refilled = Row([true; _]);
        let down = |pid| Process {
            health: Health::Down,
            ..Process::new(pid, 1)
        };
        let mut processes = Row([0, 1, 2].map(down));
        for p in setup.pids() {
            let process = &mut processes[p];
            process.health = Health::Up;
            // A duplicate comes second.
            process.joined = setup.addr(p) == p;
            registry.alive[p] = process.joined;
            registry.node[p] = process.joined.then_some(process.session);
        }
        Self {
            processes,
            registry,
            snapshot: None,
            evicts: BTreeSet::new(),
            late: Vec::new(),
            orders: 0,
            newest: Row([0; _]),
            foreign: Row([false; _]),
            emit: Emit::Idle,
            tried: (None, 0),
            covered: false,
            lost: None,
            told: 0,
            left: setup.faults.clone(),
            bad: None,
        }
    }
}
