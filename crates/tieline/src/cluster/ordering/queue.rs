//! The ordering queue, and how new messages enter it.
//!
//! Owns the counts and bounds over all clients and senders. Must not know what becomes of a message.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{
    budget::Budget,
    clients::Clients,
    message::{ClientMessage, Destination, Message, PendingLookup},
    sender::SenderId,
    sender_queue::Queued,
    senders::Senders,
};

#[derive(Debug)]
pub(in crate::cluster) struct OrderingQueue<Unicast, Multicast, Lookup> {
    pub(super) clients: Clients<Unicast, Lookup>,
    pub(super) senders: Senders<Unicast, Multicast>,
    /// Clients and senders of which something waits.
    waiting: AtomicUsize,
    pub(super) budget: Budget,
}

/// What a new message to one client has to do.
#[derive(Debug)]
pub(in crate::cluster) enum Started<Unicast> {
    /// Nothing is before it: the caller sends it to the node that the cached route leads to, and reports
    /// the outcome.
    Forward(Box<Unicast>),
    /// It waits.
    Queued,
    /// It waits, and the caller starts this lookup.
    NeedsLookup(PendingLookup),
    /// Too much waits.
    Full(Box<Unicast>),
}

/// What a new message to many has to do.
#[derive(Debug)]
pub(in crate::cluster) enum StartedMulticast<Multicast> {
    /// Nothing is before it: the caller sends it.
    Send(Multicast),
    Queued,
    /// Too much waits.
    Full(Multicast),
}

/// New messages.
impl<U: ClientMessage, M: Message, L: Destination> OrderingQueue<U, M, L> {
    pub(in crate::cluster) fn new(max_bytes: usize) -> Self {
        Self {
            clients: Clients::new(),
            senders: Senders::new(),
            waiting: AtomicUsize::new(0),
            budget: Budget::new(max_bytes),
        }
    }

    /// Whether nothing waits or is held.
    pub(in crate::cluster) fn is_idle(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }

    /// Whether what this sender sends now to a client of this node has to wait. To be asked after the
    /// client was found here.
    pub(in crate::cluster) fn must_wait(&self, sender: SenderId, hash: u64, id: &str) -> bool {
        let mut senders = self.senders.lock(sender);
        let is_behind = senders.find(sender).is_some_and(|q| q.holds_unicasts());
        drop(senders);
        is_behind || self.is_waiting(hash, id)
    }

    /// Whether messages to this client wait or are held.
    pub(in crate::cluster) fn is_waiting(&self, hash: u64, id: &str) -> bool {
        let mut clients = self.clients.lock(hash);
        clients.find(hash, id).is_some_and(|q| q.is_waiting())
    }

    /// Takes a new message to one client. `cached` leads to the node that has it, if that is known.
    pub(in crate::cluster) fn start(&self, unicast: Box<U>, cached: Option<&L>) -> Started<U> {
        let sender = unicast.sender();
        if !self.is_idle() {
            let mut senders = self.senders.lock(sender);
            if let Some(queue) = senders.find(sender)
                && queue.holds_unicasts()
            {
                if !self.budget.try_add(unicast.bytes()) {
                    return Started::Full(unicast);
                }
                queue.push(Queued::Unicast(unicast));
                return Started::Queued;
            }
        }
        self.start_for_client(unicast, cached, |bytes| self.budget.try_add(bytes))
    }

    /// As [`OrderingQueue::start`], for a message that [`Outlet::resume`] was handed.
    pub(in crate::cluster) fn resume(&self, unicast: Box<U>, cached: Option<&L>) -> Started<U> {
        let admit = |bytes| {
            self.budget.add(bytes);
            true
        };
        self.start_for_client(unicast, cached, admit)
    }

    fn start_for_client(
        &self,
        mut unicast: Box<U>,
        cached: Option<&L>,
        admit: impl FnOnce(usize) -> bool,
    ) -> Started<U> {
        let (hash, bytes, sender) = (unicast.hash(), unicast.bytes(), unicast.sender());
        let mut clients = self.clients.lock(hash);
        let queue = clients.queue(hash, unicast.id());
        unicast.set_order(queue.next_order());
        if let Some(address) = cached.and_then(Destination::address)
            && queue.is_open_to(address)
        {
            queue.on_forward(address);
            return Started::Forward(unicast);
        }
        if !admit(bytes) {
            clients.tidy(hash, unicast.id());
            return Started::Full(unicast);
        }
        self.add_waiting(sender);
        let next_lookup = clients.next_lookup();
        let queue = clients.queue(hash, unicast.id());
        self.count(!queue.is_waiting());
        match queue.wait(unicast, cached, next_lookup) {
            Some(lookup) => Started::NeedsLookup(lookup),
            None => Started::Queued,
        }
    }

    /// Takes a new message to many.
    pub(in crate::cluster) fn start_multicast(&self, multicast: M) -> StartedMulticast<M> {
        let sender = multicast.sender();
        let mut senders = self.senders.lock(sender);
        match senders.find(sender) {
            Some(queue) if queue.holds_multicasts() => {
                if !self.budget.try_add(multicast.bytes()) {
                    return StartedMulticast::Full(multicast);
                }
                queue.push(Queued::Multicast(multicast));
                StartedMulticast::Queued
            }
            _ => {
                senders.record(&multicast);
                StartedMulticast::Send(multicast)
            }
        }
    }

    /// A client has come to this node: what is sent to it from now on waits for what may come back from
    /// the node that it left. May be called under a lock of the hub.
    pub(in crate::cluster) fn hold(&self, hash: u64, id: &str) {
        let mut clients = self.clients.lock(hash);
        if let Some(queue) = clients.find(hash, id) {
            let before = queue.is_waiting();
            queue.hold();
            self.count(queue.is_waiting() && !before);
        }
    }

    /// One more client or sender of which something waits, if it `is_new`.
    pub(super) fn count(&self, is_new: bool) {
        if is_new {
            self.waiting.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// One less, if it `has_ended`.
    pub(super) fn discount(&self, has_ended: bool) {
        if has_ended {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// A message of this sender waits for its client.
    pub(super) fn add_waiting(&self, sender: SenderId) {
        let mut senders = self.senders.lock(sender);
        let (queue, is_new) = senders.queue(sender);
        queue.add_waiting();
        self.count(is_new);
    }
}
