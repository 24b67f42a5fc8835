//! What becomes of messages: lookups end, messages are sent, decided or come back, and others leave.
//!
//! Owns no state. Calls the [`Outlet`] under no lock.

use std::{collections::VecDeque, sync::Arc};

use tokio::time::Instant;

use super::{
    client_queue::ClientQueue,
    message::{ClientMessage, Destination, Message, Outlet, PendingLookup},
    queue::OrderingQueue,
    sender::SenderId,
    sender_queue::{Queued, SenderQueue},
};

impl<U: ClientMessage, M: Message, L: Destination> OrderingQueue<U, M, L> {
    /// A message that was handed out is about to be sent to a peer.
    pub(in crate::cluster) fn on_forward(&self, unicast: &U, address: &Arc<str>) {
        let mut clients = self.clients.lock(unicast.hash());
        clients
            .queue(unicast.hash(), unicast.id())
            .on_forward(address);
    }

    /// Whether something that was sent to this client is undecided.
    pub(in crate::cluster) fn is_undecided(&self, unicast: &U) -> bool {
        let mut clients = self.clients.lock(unicast.hash());
        let queue = clients.find(unicast.hash(), unicast.id());
        queue.is_some_and(|queue| queue.is_undecided())
    }

    /// A lookup has ended.
    pub(in crate::cluster) fn resolve(
        &self,
        lookup: &PendingLookup,
        result: &L,
        outlet: &impl Outlet<U, M, L>,
    ) {
        let PendingLookup { id, hash, number } = lookup;
        if let Some(queue) = self.clients.lock(*hash).find(*hash, id) {
            queue.resolve(*number, result);
        }
        self.dispatch(*hash, id, outlet);
    }

    /// A message that was sent is decided, and `may_have_arrived`.
    pub(in crate::cluster) fn decide(
        &self,
        unicast: &U,
        may_have_arrived: bool,
        outlet: &impl Outlet<U, M, L>,
    ) {
        let (hash, id) = (unicast.hash(), unicast.id());
        let mut overtaken = VecDeque::new();
        let mut clients = self.clients.lock(hash);
        let Some(queue) = clients.find(hash, id) else {
            return;
        };
        queue.on_outcome();
        if may_have_arrived {
            overtaken = queue.take_before(unicast.order());
        }
        let is_waiting = queue.is_waiting();
        self.discount(clients.tidy(hash, id));
        drop(clients);
        self.give_up(overtaken, outlet);
        if is_waiting {
            self.dispatch(hash, id, outlet);
        }
    }

    /// A message that was sent has come back, undelivered. `is_elsewhere`: because the peer does not have
    /// the client. Returns the lookup to start, if one is needed.
    pub(in crate::cluster) fn take_back(
        &self,
        unicast: Box<U>,
        is_elsewhere: bool,
        outlet: &impl Outlet<U, M, L>,
    ) -> Option<PendingLookup> {
        let (hash, sender) = (unicast.hash(), unicast.sender());
        let mut clients = self.clients.lock(hash);
        let mut senders = self.senders.lock(sender);
        if senders.has_overtaken(sender, unicast.started()) {
            drop((senders, clients));
            self.decide(&unicast, false, outlet);
            outlet.give_up(unicast);
            return None;
        }
        let (queue, is_new) = senders.queue(sender);
        queue.add_waiting();
        self.count(is_new);
        drop(senders);
        self.budget.add(unicast.bytes());
        let next_lookup = clients.next_lookup();
        let queue = clients.queue(hash, unicast.id());
        queue.on_outcome();
        self.count(!queue.is_waiting());
        queue.put_back(unicast, is_elsewhere, next_lookup)
    }

    /// A message that was handed out needs another lookup. Returns it, if it is to be started.
    pub(in crate::cluster) fn put_back(&self, unicast: Box<U>) -> Option<PendingLookup> {
        let (hash, sender) = (unicast.hash(), unicast.sender());
        self.budget.add(unicast.bytes());
        let mut clients = self.clients.lock(hash);
        self.add_waiting(sender);
        let next_lookup = clients.next_lookup();
        let queue = clients.queue(hash, unicast.id());
        self.count(!queue.is_waiting());
        queue.put_back(unicast, false, next_lookup)
    }

    /// Gives up what waits for its client since `started` or longer.
    pub(in crate::cluster) fn expire(&self, started: Instant, outlet: &impl Outlet<U, M, L>) {
        let mut expired = VecDeque::new();
        for mut clients in self.clients.shards() {
            let mut ended = Vec::new();
            for queue in clients.waiting() {
                let old = queue.take_while(|unicast| unicast.started() <= started);
                if !old.is_empty() {
                    ended.push((queue.hash(), Arc::clone(queue.id())));
                    expired.extend(old);
                }
            }
            for (hash, id) in ended {
                self.discount(clients.tidy(hash, &id));
            }
        }
        self.give_up(expired, outlet);
    }
}

/// What leaves.
impl<U: ClientMessage, M: Message, L: Destination> OrderingQueue<U, M, L> {
    fn give_up(&self, unicasts: VecDeque<Box<U>>, outlet: &impl Outlet<U, M, L>) {
        for unicast in unicasts {
            let sender = unicast.sender();
            self.budget.remove(unicast.bytes());
            outlet.give_up(unicast);
            self.remove_waiting(sender, outlet);
        }
    }

    /// Hands out what is ready for a client. A second caller returns at once, and the first hands out what
    /// became ready for it.
    fn dispatch(&self, hash: u64, id: &Arc<str>, outlet: &impl Outlet<U, M, L>) {
        let mut clients = self.clients.lock(hash);
        let queue = clients.find(hash, id);
        if !queue.is_some_and(ClientQueue::begin_dispatch) {
            return;
        }
        loop {
            let next = clients.find(hash, id).and_then(ClientQueue::next);
            let Some((unicast, lookup)) = next else {
                self.discount(clients.tidy(hash, id));
                return;
            };
            drop(clients);
            let sender = unicast.sender();
            self.budget.remove(unicast.bytes());
            outlet.dispatch(unicast, &lookup);
            self.remove_waiting(sender, outlet);
            clients = self.clients.lock(hash);
        }
    }

    /// A message of this sender waits for its client no more. Hands out what waited for that.
    fn remove_waiting(&self, sender: SenderId, outlet: &impl Outlet<U, M, L>) {
        let mut senders = self.senders.lock(sender);
        let queue = senders.find(sender);
        if !queue.is_some_and(SenderQueue::remove_waiting) {
            self.discount(senders.tidy(sender));
            return;
        }
        loop {
            let next = senders.next(sender);
            let Some(next) = next else {
                self.discount(senders.tidy(sender));
                return;
            };
            drop(senders);
            match next {
                Queued::Unicast(unicast) => {
                    self.budget.remove(unicast.bytes());
                    outlet.resume(unicast);
                }
                Queued::Multicast(multicast) => {
                    self.budget.remove(multicast.bytes());
                    outlet.multicast(multicast);
                }
            }
            senders = self.senders.lock(sender);
        }
    }
}
