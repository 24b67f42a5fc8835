//! A shard of the hub: an index with its own lock, and a queue with its own worker.
//!
//! Owns the pairing of the two, so that shards share no lock. Must not know how the hub selects a shard.
//! Invariant: all connections with one id are in the same shard, so its index alone decides about duplicates.

use std::hash::RandomState;

use parking_lot::Mutex;

use super::{
    broadcast::{Bounds, ShardQueue},
    index::ShardIndex,
};

/// Maximum number of shards: a connection keeps the index of its shard in 16 bits.
pub(super) const MAX_SHARDS: usize = u16::MAX as usize;

pub(super) struct Shard {
    pub(super) index: Mutex<ShardIndex>,
    pub(super) queue: ShardQueue,
}

impl Shard {
    pub(super) fn new(bounds: Bounds, hasher: RandomState) -> Self {
        Self {
            index: Mutex::new(ShardIndex::new(hasher)),
            queue: ShardQueue::new(bounds),
        }
    }
}
