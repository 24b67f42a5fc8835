//! The state of the world: plain values, and what changes them in one place.
//!
//! Must not know the protocol. A *cell* is a user in a roster. Processes A, B and C have users in cells, and enter
//! them in a registry under *terms* that have leases. The registry appends every transition of a roster to a
//! *journal*. Operations are cut into the steps between which the world may change: sent, executed, answered. Time
//! is abstract: a lease may run out while its process cannot renew it, and what waits for a lease ends when every
//! process that reaches the registry has done what it does within one.

use std::collections::BTreeSet;

use crate::setup::{Faults, Setup};

pub(crate) const CELLS: usize = 3;
pub(crate) const TERMS: u8 = 7;

pub(crate) type Pid = u8;
pub(crate) type TermId = u8;
/// A set of cells.
pub(crate) type Mask = u8;
/// A place in the journal; 0 is none.
pub(crate) type Position = u8;

/// Defines plain values.
macro_rules! values {
    ($($item:item)*) => { $(#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)] $item)* };
}

values! {
    pub(crate) enum Lease { Live, Expired, Buried }

    pub(crate) struct Term {
        pub(crate) owner: Pid,
        pub(crate) lease: Lease,
        pub(crate) number: u8,
        pub(crate) entries: Mask,
        /// On etcd: those that say something of their user.
        pub(crate) says: Mask,
    }

    /// One transition, or the mark with which a journal begins, which has no cell. `after` is the truth, which no
    /// process knows: the rosters that it leaves.
    pub(crate) struct Entry {
        pub(crate) at: Position,
        pub(crate) cell: Option<u8>,
        pub(crate) add: bool,
        pub(crate) after: Mask,
    }

    pub(crate) struct Hook { pub(crate) by: TermId, pub(crate) at: Position }

    pub(crate) enum Answer { Done, Lost, Stale, Loss }

    pub(crate) struct Put {
        pub(crate) term: TermId,
        pub(crate) number: u8,
        pub(crate) acked: u8,
        pub(crate) adds: Mask,
        pub(crate) drops: Mask,
        /// Which of those that are added say something of their user.
        pub(crate) says: Mask,
    }

    pub(crate) enum Health { Up, Paused, Cut, Down }

    /// A snapshot in pages, one for each cell: from where the journal is replayed, what was read, and the tails
    /// that were read with the pages (0: met), all of which the reader must meet before it is shown.
    pub(crate) struct Pages {
        pub(crate) begun: Position,
        pub(crate) got: Mask,
        pub(crate) read: Mask,
        pub(crate) tails: [Position; CELLS],
    }

    /// The snapshot of one more roster, which the reader has not met yet.
    pub(crate) struct Awaited { pub(crate) cell: u8, pub(crate) at: Position, pub(crate) here: Mask }

    /// `truth`: the rosters at the position `at`. `shown`: what subscribers have been told. They differ only
    /// while settling.
    #[derive(Default)]
    pub(crate) struct Follower {
        pub(crate) at: Position,
        pub(crate) truth: Mask,
        pub(crate) shown: Mask,
        pub(crate) followed: Mask,
        pub(crate) synced: bool,
        pub(crate) settling: bool,
        pub(crate) awaits: Option<Awaited>,
        pub(crate) pages: Option<Pages>,
    }

    pub(crate) struct Dispatcher {
        pub(crate) at: Position,
        pub(crate) posted: Position,
        pub(crate) moved: bool,
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Registry {
    pub(crate) terms: [Option<Term>; TERMS as usize],
    pub(crate) journal: Vec<Entry>,
    /// How many terms have each cell.
    pub(crate) count: [u8; CELLS],
    /// The users of whom something is known.
    pub(crate) known: Mask,
    pub(crate) hold: bool,
    pub(crate) hook: Option<Hook>,
}

/// A put in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Op {
    pub(crate) put: Put,
    pub(crate) answer: Option<Answer>,
    /// What was not removed, because the registry holds.
    pub(crate) kept: Mask,
    pub(crate) told: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) health: Health,
    pub(crate) term: Option<TermId>,
    pub(crate) last: Option<TermId>,
    pub(crate) old: Option<TermId>,
    /// The truth, which no process knows: the term that this node has ended itself.
    pub(crate) ended: Option<TermId>,
    pub(crate) number: u8,
    pub(crate) acked: u8,
    /// Who is here.
    pub(crate) users: Mask,
    /// Those of whom a connection here has said something.
    pub(crate) says: Mask,
    /// What stands, or may stand, in the registry under the term.
    pub(crate) mine: Mask,
    pub(crate) maybe: Mask,
    /// Removals that wait.
    pub(crate) later: Mask,
    /// The truth, which no process knows: the users who have been here ever since an acknowledgement.
    pub(crate) steady: Mask,
    pub(crate) op: Option<Op>,
    pub(crate) follower: Follower,
    pub(crate) dispatcher: Option<Dispatcher>,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) processes: Vec<Process>,
    pub(crate) registry: Registry,
    pub(crate) snapshot: Option<Box<Registry>>,
    /// Puts whose sender has given up, and that are not executed yet.
    pub(crate) late: BTreeSet<Put>,
    /// What followers are told without a journal: to whom, what, and which transition was before it.
    pub(crate) messages: BTreeSet<(Pid, Entry, Position)>,
    pub(crate) next: Position,
    /// The last transition that was posted.
    pub(crate) delivered: Position,
    /// Faults that may still happen.
    pub(crate) left: Faults,
    /// The violation.
    pub(crate) bad: Option<&'static str>,
}

pub(crate) fn bit(cell: u8) -> Mask {
    1 << cell
}

impl Registry {
    pub(crate) const EMPTY: Self = Self {
        terms: [None; TERMS as usize],
        journal: vec![],
        count: [0; CELLS],
        known: 0,
        hold: false,
        hook: None,
    };

    pub(crate) fn rosters(&self) -> Mask {
        let cells = (0_u8..).zip(self.count);
        let members = cells.filter(|&(_, count)| count > 0);
        members.map(|(cell, _)| bit(cell)).sum()
    }

    pub(crate) fn tail(&self) -> Position {
        self.journal.last().map_or(0, |entry| entry.at)
    }

    pub(crate) fn find(&self, at: Position) -> Option<usize> {
        self.journal.iter().position(|entry| entry.at == at)
    }

    pub(crate) fn term(&mut self, id: TermId) -> &mut Option<Term> {
        &mut self.terms[usize::from(id)]
    }

    pub(crate) fn open(&self, id: TermId) -> Option<Term> {
        self.terms[usize::from(id)].filter(|term| term.lease != Lease::Buried)
    }

    pub(crate) fn is_live(&self, id: TermId) -> bool {
        self.open(id).is_some_and(|term| term.lease == Lease::Live)
    }
}

impl Process {
    pub(crate) fn new(health: Health) -> Self {
        Self {
            health,
            term: None,
            last: None,
            old: None,
            ended: None,
            number: 0,
            acked: 0,
            users: 0,
            says: 0,
            mine: 0,
            maybe: 0,
            later: 0,
            steady: 0,
            op: None,
            follower: Follower::default(),
            dispatcher: None,
        }
    }

    pub(crate) fn adds(&self) -> Mask {
        self.users & !self.mine
    }

    pub(crate) fn drops(&self) -> Mask {
        !self.users & (self.mine | self.maybe) & !self.later
    }

    pub(crate) fn wants(&self) -> bool {
        self.adds() | self.drops() != 0
    }
}

impl World {
    pub(crate) fn start(setup: &Setup) -> Self {
        let mut w = Self {
            processes: setup.pids().map(|_| Process::new(Health::Up)).collect(),
            registry: Registry::EMPTY,
            snapshot: None,
            late: BTreeSet::new(),
            messages: BTreeSet::new(),
            next: 1,
            delivered: 0,
            left: setup.faults.clone(),
            bad: None,
        };
        setup.pids().for_each(|p| setup.open(&mut w, p));
        w
    }

    pub(crate) fn at(&self, p: Pid) -> &Process {
        &self.processes[usize::from(p)]
    }

    pub(crate) fn of(&mut self, p: Pid) -> &mut Process {
        &mut self.processes[usize::from(p)]
    }

    pub(crate) fn up(&self, p: Pid) -> bool {
        self.at(p).health == Health::Up
    }
}
