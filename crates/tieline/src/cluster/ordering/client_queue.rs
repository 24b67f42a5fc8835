//! The messages to one client: how many are undecided, and which wait.
//!
//! Must not know other clients, senders or bounds. Invariants: undecided messages are at one peer; a
//! message waits while one that is before it waits; those that wait are in the order of the calls,
//! whether they were sent before or not.

use std::{collections::VecDeque, sync::Arc};

use super::message::{ClientMessage, Destination, PendingLookup};

#[derive(Debug)]
pub(super) struct ClientQueue<Unicast, Lookup> {
    id: Arc<str>,
    hash: u64,
    /// Messages that were sent to a peer and have no outcome yet.
    undecided: u32,
    /// The address of that peer.
    at: Option<Arc<str>>,
    next_order: u64,
    /// Boxed, since most clients have none.
    backlog: Option<Box<Backlog<Unicast, Lookup>>>,
}

/// What waits.
#[derive(Debug)]
struct Backlog<Unicast, Lookup> {
    waiting: VecDeque<Box<Unicast>>,
    lookup: LookupState<Lookup>,
    /// Whether everything undecided has to be decided first, wherever the lookup leads: some may come
    /// back.
    must_drain: bool,
    /// Whether some thread hands out what is ready.
    is_dispatching: bool,
}

#[derive(Debug)]
enum LookupState<Lookup> {
    NotAsked,
    Asked {
        number: u64,
        /// Whether it was asked after the client turned out to have left a peer.
        is_after_return: bool,
    },
    Answered(Lookup),
}

impl<Unicast: ClientMessage, Lookup: Destination> ClientQueue<Unicast, Lookup> {
    pub(super) fn new(id: &Arc<str>, hash: u64) -> Self {
        Self {
            id: Arc::clone(id),
            hash,
            undecided: 0,
            at: None,
            next_order: 0,
            backlog: None,
        }
    }

    pub(super) fn is_of(&self, id: &str) -> bool {
        *self.id == *id
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The place of the next message.
    pub(super) fn next_order(&mut self) -> u64 {
        self.next_order += 1;
        self.next_order
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.backlog.is_some()
    }

    pub(super) fn is_undecided(&self) -> bool {
        self.undecided > 0
    }

    /// Whether it can be forgotten.
    pub(super) fn is_unused(&self) -> bool {
        self.undecided == 0 && self.backlog.is_none()
    }

    /// Whether a new message may be sent to this peer at once: nothing waits, and nothing that was sent to
    /// another peer may come back.
    pub(super) fn is_open_to(&self, address: &Arc<str>) -> bool {
        self.backlog.is_none() && self.has_only(address)
    }

    /// Whether everything undecided is at this peer.
    fn has_only(&self, address: &Arc<str>) -> bool {
        self.undecided == 0 || self.at.as_ref() == Some(address)
    }

    /// A message is about to be sent to a peer.
    pub(super) fn on_forward(&mut self, address: &Arc<str>) {
        self.undecided += 1;
        if self.at.as_ref() != Some(address) {
            self.at = Some(Arc::clone(address));
        }
    }

    /// A message that was sent is decided, or has come back.
    pub(super) fn on_outcome(&mut self) {
        self.undecided = self.undecided.saturating_sub(1);
        if self.undecided == 0
            && let Some(backlog) = &mut self.backlog
        {
            backlog.must_drain = false;
        }
    }

    /// Adds a new message behind all others. Returns the lookup to start, if one is needed; it gets the
    /// number `next_lookup`.
    pub(super) fn wait(
        &mut self,
        unicast: Box<Unicast>,
        cached: Option<&Lookup>,
        next_lookup: u64,
    ) -> Option<PendingLookup> {
        let backlog = self.backlog.get_or_insert_default();
        backlog.waiting.push_back(unicast);
        if !matches!(backlog.lookup, LookupState::NotAsked) {
            return None;
        }
        if let Some(route) = cached {
            backlog.lookup = LookupState::Answered(route.clone());
            return None;
        }
        backlog.lookup = LookupState::asked(next_lookup, false);
        Some(self.pending_lookup(next_lookup))
    }

    /// Puts a message back into its place. Returns the lookup to start, if one is needed. `is_elsewhere`: the peer that it was sent to does not have the client, so what is undecided there
    /// may come back too.
    pub(super) fn put_back(
        &mut self,
        unicast: Box<Unicast>,
        is_elsewhere: bool,
        next_lookup: u64,
    ) -> Option<PendingLookup> {
        let is_undecided = self.undecided > 0;
        let backlog = self.backlog.get_or_insert_default();
        let place = backlog
            .waiting
            .partition_point(|other| other.order() < unicast.order());
        backlog.waiting.insert(place, unicast);
        backlog.must_drain |= is_elsewhere && is_undecided;
        if backlog.lookup.is_asked_after_return() {
            return None;
        }
        backlog.lookup = LookupState::asked(next_lookup, true);
        Some(self.pending_lookup(next_lookup))
    }

    fn pending_lookup(&self, number: u64) -> PendingLookup {
        PendingLookup {
            id: Arc::clone(&self.id),
            hash: self.hash,
            number,
        }
    }

    /// Holds new messages until everything undecided is decided: the client has come to this node.
    pub(super) fn hold(&mut self) {
        if self.undecided > 0 {
            self.backlog.get_or_insert_default().must_drain = true;
        }
    }

    /// Ends the lookup with this number, if it is still the last.
    pub(super) fn resolve(&mut self, answered: u64, lookup: &Lookup) {
        if let Some(backlog) = &mut self.backlog
            && let LookupState::Asked { number, .. } = backlog.lookup
            && number == answered
        {
            backlog.lookup = LookupState::Answered(lookup.clone());
        }
    }

    /// Whether this call is the one that hands out what is ready: true for the first, until
    /// [`ClientQueue::next`] returns `None`.
    pub(super) fn begin_dispatch(&mut self) -> bool {
        let backlog = self.backlog.as_mut();
        backlog.is_some_and(|backlog| !std::mem::replace(&mut backlog.is_dispatching, true))
    }

    /// Hands out the next message that may be sent.
    pub(super) fn next(&mut self) -> Option<(Box<Unicast>, Lookup)> {
        let next = self.take_ready();
        if next.is_none()
            && let Some(backlog) = &mut self.backlog
        {
            backlog.is_dispatching = false;
        }
        next
    }

    fn take_ready(&mut self) -> Option<(Box<Unicast>, Lookup)> {
        let backlog = self.backlog.as_ref()?;
        let LookupState::Answered(lookup) = &backlog.lookup else {
            return None;
        };
        let leads_on = lookup.address().is_some_and(|to| self.has_only(to));
        if self.undecided > 0 && (backlog.must_drain || !leads_on) {
            return None;
        }
        let lookup = lookup.clone();
        let unicast = self.backlog.as_mut()?.waiting.pop_front()?;
        Some((unicast, lookup))
    }

    /// Takes the messages that are before this one: it has been delivered, so they must not be.
    pub(super) fn take_before(&mut self, order: u64) -> VecDeque<Box<Unicast>> {
        self.take_while(|other| other.order() < order)
    }

    /// Takes messages from the front.
    pub(super) fn take_while(
        &mut self,
        is_taken: impl Fn(&Unicast) -> bool,
    ) -> VecDeque<Box<Unicast>> {
        let Some(backlog) = &mut self.backlog else {
            return VecDeque::new();
        };
        let kept = backlog.waiting.iter().position(|other| !is_taken(other));
        let kept = kept.unwrap_or(backlog.waiting.len());
        let kept = backlog.waiting.split_off(kept);
        std::mem::replace(&mut backlog.waiting, kept)
    }

    /// Ends the backlog if it has ended: nothing waits or is held. Returns whether it did.
    pub(super) fn end_backlog(&mut self) -> bool {
        let has_ended = self.backlog.as_ref().is_some_and(|backlog| {
            backlog.waiting.is_empty() && !backlog.is_dispatching && !backlog.must_drain
        });
        if has_ended {
            self.backlog = None;
        }
        has_ended
    }
}

impl<Lookup> LookupState<Lookup> {
    fn asked(number: u64, is_after_return: bool) -> Self {
        Self::Asked {
            number,
            is_after_return,
        }
    }

    fn is_asked_after_return(&self) -> bool {
        matches!(
            self,
            Self::Asked {
                is_after_return: true,
                ..
            }
        )
    }
}

impl<Unicast, Lookup> Default for Backlog<Unicast, Lookup> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            lookup: LookupState::NotAsked,
            must_drain: false,
            is_dispatching: false,
        }
    }
}
