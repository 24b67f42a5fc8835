//! The queues of all senders that have one, and when each last sent to many.
//!
//! Owns the locks: a sender is found in constant time, behind the lock of one of many shards. Must not
//! know clients.

use std::time::Duration;

use foldhash::{HashMap, HashMapExt, fast::FixedState};
use parking_lot::{Mutex, MutexGuard};
use std::hash::BuildHasher;
use tokio::time::Instant;

use super::{
    message::Message,
    sender::SenderId,
    sender_queue::{Queued, SenderQueue},
};

const SHARDS: usize = 16;

/// How long it is remembered at least that a sender has sent to many: longer than a message to one
/// client may come back and be sent again.
const REMEMBERED: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Senders<Unicast, Multicast> {
    shards: [Mutex<Shard<Unicast, Multicast>>; SHARDS],
}

#[derive(Debug)]
pub(super) struct Shard<Unicast, Multicast> {
    queues: HashMap<SenderId, SenderQueue<Unicast, Multicast>>,
    /// When each sender made its last call to many that has left, in two generations.
    recent: HashMap<SenderId, Instant>,
    old: HashMap<SenderId, Instant>,
    /// When the recent generation began.
    since: Instant,
}

impl<Unicast, Multicast: Message> Senders<Unicast, Multicast> {
    pub(super) fn new() -> Self {
        let shard = || Shard {
            queues: HashMap::new(),
            recent: HashMap::new(),
            old: HashMap::new(),
            since: Instant::now(),
        };
        Self {
            shards: std::array::from_fn(|_| Mutex::new(shard())),
        }
    }

    pub(super) fn lock(&self, sender: SenderId) -> MutexGuard<'_, Shard<Unicast, Multicast>> {
        let hash = FixedState::default().hash_one(sender);
        self.shards[(hash >> 32) as usize % SHARDS].lock()
    }
}

impl<Unicast, Multicast: Message> Shard<Unicast, Multicast> {
    /// The queue of a sender, if it has one.
    pub(super) fn find(
        &mut self,
        sender: SenderId,
    ) -> Option<&mut SenderQueue<Unicast, Multicast>> {
        self.queues.get_mut(&sender)
    }

    /// The queue of a sender, and whether it is new.
    pub(super) fn queue(
        &mut self,
        sender: SenderId,
    ) -> (&mut SenderQueue<Unicast, Multicast>, bool) {
        let is_new = !self.queues.contains_key(&sender);
        (self.queues.entry(sender).or_default(), is_new)
    }

    /// Hands out the next message of a sender that may leave.
    pub(super) fn next(&mut self, sender: SenderId) -> Option<Queued<Unicast, Multicast>> {
        let next = self.queues.get_mut(&sender)?.next();
        if let Some(Queued::Multicast(multicast)) = &next {
            self.record(multicast);
        }
        next
    }

    /// Forgets a sender's queue if nothing is in it. Returns whether it did.
    pub(super) fn tidy(&mut self, sender: SenderId) -> bool {
        let is_unused = self.queues.get(&sender).is_some_and(SenderQueue::is_unused);
        is_unused && self.queues.remove(&sender).is_some()
    }

    /// A message to many leaves now.
    pub(super) fn record(&mut self, multicast: &Multicast) {
        let now = Instant::now();
        if now.saturating_duration_since(self.since) >= REMEMBERED {
            self.since = now;
            self.old = std::mem::take(&mut self.recent);
        }
        self.recent.insert(multicast.sender(), multicast.started());
    }

    /// Whether a message to many that this sender sent after `started` has left.
    pub(super) fn has_overtaken(&self, sender: SenderId, started: Instant) -> bool {
        let last = self.recent.get(&sender).or_else(|| self.old.get(&sender));
        // Calls at the same time as the clock counts may have been made in either order.
        last.is_some_and(|last| *last >= started)
    }
}
