//! The members of a scope, and who of them gets which of the messages that wait.
//!
//! Owns the members, who has joined or left since the messages that wait were queued, and how far the
//! worker has come among the members. Must not know messages: it numbers them. What waits holds no
//! members, so its memory does not depend on how many there are, or come and go. Invariants: a message
//! goes to exactly those who were members when it was queued, to each once, in the order of the numbers;
//! without waiting messages nothing is kept but the members.

use std::{
    collections::VecDeque,
    hash::BuildHasher,
    sync::{Arc, Weak},
};

use foldhash::fast::FixedState;

use super::parts::Parts;

/// Members that are looked at under one lock, and connections that are served in one poll: about 0.2 ms
/// of sends.
pub(super) const SLICE: usize = 64;

/// Places that a list of members keeps from slice to slice: 8 KiB, for all members of a table that has not
/// been split.
pub(super) const KEPT_CAPACITY: usize = 1024;

/// The number of a message to many, in the order in which the messages of a shard were queued. Counts
/// from 1.
pub(super) type Number = u64;

#[derive(Debug)]
pub(super) struct Members<T> {
    table: Parts<Arc<T>>,
    /// Only while messages wait: most scopes are quiet, and carry one pointer.
    waiting: Option<Box<Waiting<T>>>,
}

/// What changed while messages waited.
#[derive(Debug)]
struct Waiting<T> {
    /// Messages that are queued or being delivered.
    messages: usize,
    last_queued: Number,
    /// The members who joined since the first of the messages was queued, by address, with the last
    /// message before them. They are forgotten when they get all messages of a walk.
    joined: Parts<Joined>,
    /// Those who left, in that order, until they have what was sent to them before.
    departed: VecDeque<Departed<T>>,
    walk: Walk,
}

#[derive(Debug, Clone, Copy)]
struct Joined {
    address: usize,
    after: Number,
}

/// One who left. What waits does not keep alive whose connection has ended.
#[derive(Debug)]
struct Departed<T> {
    member: Weak<T>,
    after: Number,
    up_to: Number,
}

/// How far the worker has come with the messages that it delivers now.
#[derive(Debug, Default)]
struct Walk {
    /// These messages are those above `after` up to `up_to`.
    after: Number,
    up_to: Number,
    /// The parts of the table that are done.
    parts: usize,
    /// The departed that are done, and are kept for later messages.
    departed: usize,
}

/// What became of one who is no longer a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    NotAMember,
    /// Nothing waits for it.
    Forgotten,
    /// It is kept until it has what waits for it.
    Remembered,
}

/// A step of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    /// How many of the departed are not kept any longer.
    pub(super) forgotten: usize,
    /// Whether all receivers have been added.
    pub(super) is_last: bool,
}

/// Some receivers of the messages that are delivered now.
#[derive(Debug)]
pub(super) struct Receivers<T> {
    /// Those who get every message.
    pub(super) of_all: Vec<Arc<T>>,
    /// Those who joined or left between the messages. One who did both is listed more than once, in order.
    pub(super) of_some: Vec<PartialReceiver<T>>,
}

/// One who gets the messages above `after` up to `up_to`.
#[derive(Debug)]
pub(super) struct PartialReceiver<T> {
    pub(super) member: Arc<T>,
    pub(super) after: Number,
    pub(super) up_to: Number,
}

impl<T> Members<T> {
    pub(super) const fn new() -> Self {
        Self {
            table: Parts::new(),
            waiting: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether it has no members, and nobody waits for a message either.
    pub(super) fn is_unused(&self) -> bool {
        self.len() == 0 && self.waiting.is_none()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.table.iter()
    }

    pub(super) fn find(&self, hash: u64, is_wanted: impl Fn(&T) -> bool) -> Option<&Arc<T>> {
        self.table.find(hash, |member| is_wanted(member))
    }

    /// Copies the members from this part of the table on, at least a slice of them; returns the part with
    /// which to go on. A member who is there all the time is copied exactly once.
    pub(super) fn copy_slice(&self, mut part: usize, members: &mut Vec<Arc<T>>) -> Option<usize> {
        let enough = members.len() + SLICE;
        while members.len() < enough {
            members.extend(self.table.part(part)?.map(Arc::clone));
            part += 1;
        }
        // Known now: if the table is split later, its later parts hold what was copied.
        (part < self.table.count()).then_some(part)
    }

    /// Adds a member that is not there.
    pub(super) fn insert(&mut self, hash: u64, member: Arc<T>, hash_of: impl Fn(&Arc<T>) -> u64) {
        let parts = self.table.count();
        let address = address(&member);
        self.table.insert(hash, member, hash_of);
        if let Some(waiting) = &mut self.waiting {
            waiting.joined.insert(
                hash_address(address),
                Joined {
                    address,
                    after: waiting.last_queued,
                },
                |joined| hash_address(joined.address),
            );
            if self.table.count() != parts && waiting.walk.parts > 0 {
                // The one part was done, so all are that it was split into.
                waiting.walk.parts = self.table.count();
            }
        }
    }

    /// Removes a member. With `remember` it still gets what waits for it.
    pub(super) fn remove(&mut self, hash: u64, member: &Arc<T>, remember: bool) -> Removed {
        let removed = self.table.remove(hash, |held| Arc::ptr_eq(held, member));
        if removed.is_none() {
            return Removed::NotAMember;
        }
        let Some(waiting) = self.waiting.as_deref_mut() else {
            return Removed::Forgotten;
        };
        let joined = waiting.forget_joined(member);
        let joined = joined.map_or(0, |joined| joined.after);
        let is_done = self.table.part_of(hash) < waiting.walk.parts;
        let done = if is_done { waiting.walk.up_to } else { 0 };
        let (after, up_to) = (joined.max(done), waiting.last_queued);
        if !remember || after >= up_to {
            return Removed::Forgotten;
        }
        waiting.departed.push_back(Departed {
            member: Arc::downgrade(member),
            after,
            up_to,
        });
        Removed::Remembered
    }
}

/// Messages that wait.
impl<T> Members<T> {
    /// Notes that a message for the present members was queued.
    pub(super) fn on_queued(&mut self, number: Number) {
        let waiting = self.waiting.get_or_insert_with(|| {
            Box::new(Waiting {
                messages: 0,
                last_queued: number,
                joined: Parts::new(),
                departed: VecDeque::new(),
                walk: Walk::default(),
            })
        });
        waiting.messages += 1;
        waiting.last_queued = number;
    }

    /// Begins with the messages from the first to the last of these.
    pub(super) fn begin_walk(&mut self, first: Number, last: Number) {
        if let Some(waiting) = &mut self.waiting {
            waiting.walk = Walk {
                after: first - 1,
                up_to: last,
                ..Walk::default()
            };
        }
    }

    /// Adds the next slice of the receivers of these messages.
    pub(super) fn next_slice(&mut self, receivers: &mut Receivers<T>) -> Slice {
        let mut slice = Slice {
            forgotten: 0,
            is_last: true,
        };
        let Some(waiting) = self.waiting.as_deref_mut() else {
            return slice;
        };
        let mut seen = 0;
        // The departed first: one who has come back gets the older messages before the newer ones.
        while seen < SLICE && waiting.add_departed(receivers, &mut slice.forgotten) {
            seen += 1;
        }
        while seen < SLICE {
            let Some(part) = self.table.part(waiting.walk.parts) else {
                return slice;
            };
            // A part without members takes time too.
            seen += part.len() + 1;
            part.for_each(|member| waiting.add_member(member, receivers));
            waiting.walk.parts += 1;
        }
        slice.is_last = false;
        slice
    }

    /// Ends with this many messages. What it returns may be large, and is better dropped without a lock.
    pub(super) fn end_walk(&mut self, messages: usize) -> Option<impl Sized + use<T>> {
        let waiting = self.waiting.as_deref_mut()?;
        waiting.walk = Walk::default();
        waiting.messages -= messages;
        if waiting.messages > 0 {
            return None;
        }
        self.waiting.take()
    }
}

impl<T> Waiting<T> {
    fn add_member(&mut self, member: &Arc<T>, receivers: &mut Receivers<T>) {
        let (joined, up_to) = (self.joined_after(member), self.walk.up_to);
        match joined {
            Some(after) if after >= up_to => {}
            Some(after) if after > self.walk.after => receivers.of_some.push(PartialReceiver {
                member: Arc::clone(member),
                after,
                up_to,
            }),
            Some(_) => {
                self.forget_joined(member);
                receivers.of_all.push(Arc::clone(member));
            }
            None => receivers.of_all.push(Arc::clone(member)),
        }
    }

    /// The last message before one joined; `None` if it was there before all that wait.
    fn joined_after(&self, member: &Arc<T>) -> Option<Number> {
        if self.joined.len() == 0 {
            return None;
        }
        let address = address(member);
        let is_it = |joined: &Joined| joined.address == address;
        let joined = self.joined.find(hash_address(address), is_it)?;
        Some(joined.after)
    }

    fn forget_joined(&mut self, member: &Arc<T>) -> Option<Joined> {
        let address = address(member);
        let is_it = |joined: &Joined| joined.address == address;
        self.joined.remove(hash_address(address), is_it)
    }

    /// Adds the next of those who left; false if there are no more. They are sorted by the last message
    /// that they get, so that those who need not be kept come first.
    fn add_departed(&mut self, receivers: &mut Receivers<T>, forgotten: &mut usize) -> bool {
        let walk = &mut self.walk;
        let Some(next) = self.departed.get(walk.departed) else {
            return false;
        };
        if next.after < walk.up_to
            && next.up_to > walk.after
            && let Some(member) = next.member.upgrade()
        {
            receivers.of_some.push(PartialReceiver {
                member,
                after: next.after,
                up_to: next.up_to,
            });
        }
        if next.up_to <= walk.up_to {
            self.departed.pop_front();
            *forgotten += 1;
        } else {
            walk.departed += 1;
        }
        true
    }
}

impl<T> Receivers<T> {
    pub(super) const fn new() -> Self {
        Self {
            of_all: Vec::new(),
            of_some: Vec::new(),
        }
    }

    /// Forgets them, and returns the memory of an unusually large slice.
    pub(super) fn clear(&mut self) {
        self.of_all.clear();
        self.of_all.shrink_to(KEPT_CAPACITY);
        self.of_some.clear();
        self.of_some.shrink_to(SLICE);
    }
}

/// The hash of an entry that is found by its address.
pub(super) fn address_hash<T>(entry: &Arc<T>) -> u64 {
    hash_address(address(entry))
}

fn hash_address(address: usize) -> u64 {
    FixedState::default().hash_one(address)
}

fn address<T>(entry: &Arc<T>) -> usize {
    Arc::as_ptr(entry).addr()
}

#[cfg(test)]
mod tests;
