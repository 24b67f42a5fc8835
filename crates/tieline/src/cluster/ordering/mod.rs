//! Keeps the order of calls while routes are looked up.
//!
//! Owns what waits: unicasts behind the lookup of their client's route, multicasts behind every
//! lookup that began before them. Each [`Segment`] holds the unicasts between two multicasts, by
//! client ([`backlog`]). Must not know the registry or links: the caller starts the lookup that
//! [`Enqueued`] asks for, reports its result, and dispatches what is ready.
//!
//! Invariants: unicasts to one client leave in the order of the calls; those that bounced from a node
//! without the client leave before those that were added since; nothing overtakes a multicast, and a
//! multicast overtakes nothing; at most `max_bytes` and [`MAX_MESSAGES`] unicasts that callers added
//! wait. One unicast always fits, and a bounced one too, since it was admitted before.

mod backlog;
mod segment;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

use self::segment::{Next, Segment};

/// Unicasts that may wait.
const MAX_MESSAGES: usize = 65_536;

/// A queue of unicasts and multicasts. `Lookup` is the result of looking up a client.
#[derive(Debug)]
pub(super) struct OrderingQueue<Unicast, Multicast, Lookup> {
    state: Mutex<State<Unicast, Multicast, Lookup>>,
    /// The number of segments, so that sending past an idle queue costs an atomic load and no lock.
    segments: AtomicUsize,
    max_bytes: usize,
}

#[derive(Debug)]
struct State<Unicast, Multicast, Lookup> {
    /// A multicast ends each but the last.
    segments: VecDeque<Segment<Unicast, Multicast, Lookup>>,
    count: usize,
    bytes: usize,
    is_dispatching: bool,
}

/// The result of adding a unicast.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Enqueued<Unicast> {
    /// It waits, and the caller has to look up its client.
    NeedsLookup,
    /// It waits.
    Queued,
    /// Nothing is before it: the caller sends it.
    SendNow(Unicast),
    /// Too much waits.
    Full(Unicast),
}

/// What may be sent now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ready<Unicast, Multicast, Lookup> {
    Unicasts(Vec<Unicast>, Lookup),
    Multicast(Multicast),
}

impl<Unicast, Multicast, Lookup: Clone> OrderingQueue<Unicast, Multicast, Lookup> {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            state: Mutex::new(State {
                segments: VecDeque::new(),
                count: 0,
                bytes: 0,
                is_dispatching: false,
            }),
            segments: AtomicUsize::new(0),
            max_bytes,
        }
    }

    /// Whether nothing waits and nothing is being dispatched.
    pub(super) fn is_idle(&self) -> bool {
        self.segments.load(Ordering::Acquire) == 0
    }

    /// Whether unicasts to this client wait, or may still bounce.
    pub(super) fn is_waiting_for(&self, id: &str) -> bool {
        !self.is_idle() && self.state.lock().segments.iter().any(|s| s.has(id))
    }

    /// Adds a unicast of `bytes`; `is_routed` says whether the caller can send it without a lookup.
    pub(super) fn enqueue(
        &self,
        id: &Arc<str>,
        unicast: Unicast,
        bytes: usize,
        is_routed: bool,
    ) -> Enqueued<Unicast> {
        let mut state = self.state.lock();
        if is_routed && state.is_free(id) {
            return Enqueued::SendNow(unicast);
        }
        if !state.has_room(bytes, self.max_bytes) {
            return Enqueued::Full(unicast);
        }
        state.added(bytes);
        let segment = state.last();
        let is_first = !segment.has(id);
        segment.backlog(id).enqueue(unicast, bytes);
        self.publish(&state);
        if is_first {
            Enqueued::NeedsLookup
        } else {
            Enqueued::Queued
        }
    }

    /// Adds a unicast that bounced from a node without its client. More may bounce from there until
    /// [`OrderingQueue::all_bounced`]. True if the caller has to look up the client, and to find out
    /// when all has bounced.
    pub(super) fn add_bounced(&self, id: &Arc<str>, unicast: Unicast, bytes: usize) -> bool {
        let mut state = self.state.lock();
        state.added(bytes);
        let is_first = state.first().backlog(id).add_bounced(unicast, bytes);
        self.publish(&state);
        is_first
    }

    /// Removes the bounced unicasts to a client that are `overtaken`: one that was sent after them has
    /// been delivered.
    pub(super) fn take_overtaken(
        &self,
        id: &str,
        overtaken: impl Fn(&Unicast) -> bool,
    ) -> Vec<Unicast> {
        let mut state = self.state.lock();
        let front = state.segments.front_mut();
        let Some(backlog) = front.and_then(|segment| segment.backlog_of(id)) else {
            return Vec::new();
        };
        let removed = backlog.take_overtaken(overtaken);
        state.removed(removed.unicasts.len(), removed.bytes);
        removed.unicasts
    }

    /// Holds unicasts to a client until a lookup ends and [`OrderingQueue::all_bounced`] is called:
    /// some may bounce from the node that it left.
    pub(super) fn expect_bounces(&self, id: &Arc<str>) {
        let mut state = self.state.lock();
        state.first().backlog(id).expect_bounces();
        self.publish(&state);
    }

    /// One node has returned all that bounces for a client.
    pub(super) fn all_bounced(&self, id: &str) {
        if let Some(segment) = self.state.lock().segments.front_mut() {
            segment.all_bounced(id);
        }
    }

    /// Adds a multicast; returns it if nothing is before it.
    pub(super) fn add_multicast(&self, multicast: Multicast) -> Option<Multicast> {
        let mut state = self.state.lock();
        if state.segments.is_empty() {
            return Some(multicast);
        }
        state.last().close(multicast);
        self.publish(&state);
        None
    }

    /// Ends the lookup of a client.
    pub(super) fn resolve(&self, id: &str, lookup: &Lookup) {
        let mut state = self.state.lock();
        for segment in &mut state.segments {
            segment.resolve(id, lookup);
        }
    }

    /// Sends what is ready, in order, under no lock. A second caller returns at once, and the first
    /// sends what became ready for it.
    pub(super) fn dispatch(&self, mut send: impl FnMut(Ready<Unicast, Multicast, Lookup>)) {
        if std::mem::replace(&mut self.state.lock().is_dispatching, true) {
            return;
        }
        loop {
            let mut state = self.state.lock();
            let next = state.next();
            self.publish(&state);
            let Some(ready) = next else {
                state.is_dispatching = false;
                return;
            };
            drop(state);
            send(ready);
        }
    }

    fn publish(&self, state: &State<Unicast, Multicast, Lookup>) {
        self.segments.store(state.segments.len(), Ordering::Release);
    }
}

impl<Unicast, Multicast, Lookup: Clone> State<Unicast, Multicast, Lookup> {
    /// Whether a unicast to this client would overtake nothing.
    fn is_free(&self, id: &str) -> bool {
        match self.segments.len() {
            0 => true,
            1 => !self.segments[0].is_closed() && !self.segments[0].has(id),
            _ => false,
        }
    }

    fn has_room(&self, bytes: usize, max_bytes: usize) -> bool {
        self.count == 0 || (self.count < MAX_MESSAGES && self.bytes + bytes <= max_bytes)
    }

    fn added(&mut self, bytes: usize) {
        (self.count, self.bytes) = (self.count + 1, self.bytes + bytes);
    }

    fn removed(&mut self, count: usize, bytes: usize) {
        (self.count, self.bytes) = (self.count - count, self.bytes - bytes);
    }

    /// The segment for what bounced: it was sent before everything that waits.
    fn first(&mut self) -> &mut Segment<Unicast, Multicast, Lookup> {
        if self.segments.is_empty() {
            self.segments.push_back(Segment::default());
        }
        &mut self.segments[0]
    }

    /// The segment for what callers add.
    fn last(&mut self) -> &mut Segment<Unicast, Multicast, Lookup> {
        if self.segments.back().is_none_or(Segment::is_closed) {
            self.segments.push_back(Segment::default());
        }
        self.segments
            .back_mut()
            .expect("one was there or was added")
    }

    fn next(&mut self) -> Option<Ready<Unicast, Multicast, Lookup>> {
        loop {
            match self.segments.front_mut()?.next() {
                Next::Unicasts(removed, lookup) => {
                    self.removed(removed.unicasts.len(), removed.bytes);
                    return Some(Ready::Unicasts(removed.unicasts, lookup));
                }
                Next::Multicast(multicast) => return Some(Ready::Multicast(multicast)),
                Next::Wait => return None,
                Next::Done => drop(self.segments.pop_front()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
