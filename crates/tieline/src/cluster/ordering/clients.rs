//! The queues of all clients that have one.
//!
//! Owns the locks: a client's queue is found in constant time, behind the lock of one of many shards.
//! Must not know what a queue does.

use std::sync::Arc;

use hashbrown::{HashTable, hash_table::Entry};
use parking_lot::{Mutex, MutexGuard};

use super::{
    client_queue::ClientQueue,
    message::{ClientMessage, Destination},
};

const SHARDS: usize = 16;

#[derive(Debug)]
pub(super) struct Clients<Unicast, Lookup> {
    shards: [Mutex<Shard<Unicast, Lookup>>; SHARDS],
}

#[derive(Debug)]
pub(super) struct Shard<Unicast, Lookup> {
    queues: HashTable<ClientQueue<Unicast, Lookup>>,
    last_lookup: u64,
}

impl<Unicast: ClientMessage, Lookup: Destination> Clients<Unicast, Lookup> {
    pub(super) fn new() -> Self {
        let shard = || Shard {
            queues: HashTable::new(),
            last_lookup: 0,
        };
        Self {
            shards: std::array::from_fn(|_| Mutex::new(shard())),
        }
    }

    /// The shard of a client, by the upper half of its hash: the table uses the lower half.
    pub(super) fn lock(&self, hash: u64) -> MutexGuard<'_, Shard<Unicast, Lookup>> {
        self.shards[(hash >> 32) as usize % SHARDS].lock()
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard<Unicast, Lookup>>> {
        self.shards.iter().map(Mutex::lock)
    }
}

impl<Unicast: ClientMessage, Lookup: Destination> Shard<Unicast, Lookup> {
    /// The queue of a client, if it has one.
    pub(super) fn find(
        &mut self,
        hash: u64,
        id: &str,
    ) -> Option<&mut ClientQueue<Unicast, Lookup>> {
        self.queues.find_mut(hash, |queue| queue.is_of(id))
    }

    /// The queue of a client, made if it has none.
    pub(super) fn queue(&mut self, hash: u64, id: &Arc<str>) -> &mut ClientQueue<Unicast, Lookup> {
        let entry = self
            .queues
            .entry(hash, |queue| queue.is_of(id), ClientQueue::hash);
        match entry {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(place) => place.insert(ClientQueue::new(id, hash)).into_mut(),
        }
    }

    /// A number for a lookup, and for no other of this shard.
    pub(super) fn next_lookup(&mut self) -> u64 {
        self.last_lookup += 1;
        self.last_lookup
    }

    /// Ends what has ended in a client's queue. Returns whether its backlog did.
    pub(super) fn tidy(&mut self, hash: u64, id: &str) -> bool {
        let Ok(mut entry) = self.queues.find_entry(hash, |queue| queue.is_of(id)) else {
            return false;
        };
        let has_ended = entry.get_mut().end_backlog();
        if entry.get().is_unused() {
            entry.remove();
        }
        has_ended
    }

    /// The clients for which something waits.
    pub(super) fn waiting(&mut self) -> impl Iterator<Item = &mut ClientQueue<Unicast, Lookup>> {
        self.queues.iter_mut().filter(|queue| queue.is_waiting())
    }
}
