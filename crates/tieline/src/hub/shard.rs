//! A shard of the hub: an index with its own lock, and a queue with its own worker.
//!
//! Owns the pairing of the two, so that shards share no lock, and the worker, which delivers what is queued.
//! Must not know how the hub selects a shard. Invariants: all connections with one id are in the same shard,
//! so its index alone decides about duplicates; broadcasts are queued under the lock of the index, so that
//! their order is that of their numbers; the worker holds that lock for one slice at a time.

use std::hash::RandomState;

use parking_lot::Mutex;
use tokio::task::yield_now;

use super::{
    batch::{BroadcastBatch, BroadcastJob, QueuedCast},
    broadcast::{self, Bounds, ShardQueue},
    index::ShardIndex,
    inner::ConnectionInner,
    members::{Receivers, SLICE},
    scope::{Hashed, Scope},
    shard_map::ShardMaps,
};
use crate::delivery::Reached;

/// Maximum number of shards: a connection keeps the index of its shard in 16 bits.
pub(super) const MAX_SHARDS: usize = u16::MAX as usize;

pub(super) struct Shard {
    pub(super) index: Mutex<ShardIndex>,
    pub(super) queue: ShardQueue,
}

impl Shard {
    /// The shard with this number.
    pub(super) fn new(
        number: usize,
        maps: &ShardMaps,
        hasher: RandomState,
        bounds: Bounds,
    ) -> Self {
        Self {
            index: Mutex::new(ShardIndex::new(number, maps, hasher, bounds.frames)),
            queue: ShardQueue::new(bounds),
        }
    }

    /// Queues a message for those who are in its scope now. `excluded` are ids with their hashes; those of
    /// other shards do no harm. Returns for how many there was no room.
    pub(super) fn queue_broadcast<'a>(
        &self,
        scope: Hashed<Scope<'_>>,
        excluded: impl Iterator<Item = (u64, &'a str)>,
        message: QueuedCast,
    ) -> u64 {
        let mut index = self.index.lock();
        let Some(audience) = index.audience(scope, excluded) else {
            drop(index);
            message.sum.add_part(Reached::default());
            return 0;
        };
        let job = BroadcastJob { audience, message };
        match self.queue.queue_broadcast(job) {
            Ok(()) => {
                index.on_queued(scope);
                drop(index);
                self.queue.wake();
                0
            }
            Err(job) => {
                drop(index);
                let queue_full = job.audience.receivers as u64;
                job.message.sum.add_part(Reached {
                    queue_full,
                    ..Reached::default()
                });
                queue_full
            }
        }
    }

    /// Delivers what is queued, for ever.
    pub(super) async fn run_worker(&self) {
        let mut receivers = Receivers::new();
        loop {
            self.queue.wait().await;
            loop {
                let unicasts = self.queue.drain_unicasts();
                self.queue.finish(unicasts);
                match self.queue.next_batch() {
                    Some((batch, queued_at)) => {
                        let broadcasts = batch.len();
                        self.deliver(batch, &mut receivers).await;
                        self.queue.record(queued_at, broadcasts);
                    }
                    // What was queued meanwhile has notified again.
                    None if unicasts == 0 => break,
                    None => yield_now().await,
                }
            }
        }
    }

    /// Delivers a batch slice by slice.
    async fn deliver(&self, mut batch: BroadcastBatch, receivers: &mut Receivers<ConnectionInner>) {
        let (entries, broadcasts) = (batch.entries(), batch.len());
        let (first, last) = batch.numbers();
        self.index.lock().begin_walk(batch.scope(), first, last);
        loop {
            let is_last = self.index.lock().next_slice(batch.scope(), receivers);
            for slice in receivers.of_all.chunks(SLICE) {
                slice.iter().for_each(|conn| batch.send(conn));
                yield_now().await;
            }
            for slice in receivers.of_some.chunks(SLICE) {
                slice.iter().for_each(|receiver| batch.send_some(receiver));
                yield_now().await;
            }
            receivers.clear();
            if is_last {
                break;
            }
        }
        let rest = self.index.lock().end_walk(batch.scope(), broadcasts);
        drop(rest);
        for closes in batch.finish().chunks(SLICE) {
            for (conn, reason) in closes {
                broadcast::close(conn, reason.clone());
            }
            yield_now().await;
        }
        self.queue.finish(entries);
    }
}
