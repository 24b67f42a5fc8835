//! What is kept of each address, user or hub that is limited.
//!
//! Owns how long it is kept. Must not know the limits. Invariants: whoever has a connection, or has used up
//! something that has not flowed in again, is kept; others go with the next sweep. There are at most
//! [`MAX_ENTRIES`] in a table.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::bucket::Bucket;

/// Most that a table keeps: about 10 MB. Who comes while there are as many is not limited: whoever has so many
/// addresses is not stopped by a limit for each, and must not keep out everybody else.
const MAX_ENTRIES: usize = 65_536;

const SHARDS: usize = 16;

/// The shortest time between two sweeps of a full shard.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// What those together have used who share a limit.
#[derive(Debug, Default)]
pub(super) struct Usage {
    connections: AtomicUsize,
    pub(super) connects: Bucket,
    pub(super) messages: Bucket,
    pub(super) bytes: Bucket,
    /// Of backends. An address: those that were not authorized.
    pub(super) requests: Bucket,
}

/// One of the connections that count.
#[derive(Debug)]
pub(super) struct Place(Arc<Usage>);

#[derive(Debug)]
pub(super) struct Table<K> {
    shards: [Mutex<Shard<K>>; SHARDS],
    /// Keys are chosen by strangers.
    hash: RandomState,
}

#[derive(Debug)]
struct Shard<K> {
    entries: HashMap<K, Arc<Usage>>,
    swept: Option<Instant>,
}

impl<K: Hash + Eq> Table<K> {
    pub(super) fn new() -> Self {
        let shard = |_| {
            Mutex::new(Shard {
                entries: HashMap::new(),
                swept: None,
            })
        };
        Self {
            shards: std::array::from_fn(shard),
            hash: RandomState::new(),
        }
    }

    /// What is kept of a key, if anything is.
    pub(super) fn known(&self, key: &K) -> Option<Arc<Usage>> {
        self.shard(key).lock().entries.get(key).cloned()
    }

    /// What is kept of a key, from now on; `None` if there is no room for it.
    pub(super) fn usage(&self, key: K) -> Option<Arc<Usage>> {
        let mut shard = self.shard(&key).lock();
        if let Some(usage) = shard.entries.get(&key) {
            return Some(Arc::clone(usage));
        }
        if shard.entries.len() >= MAX_ENTRIES / SHARDS {
            let now = Instant::now();
            if shard.swept.is_none_or(|at| now >= at + SWEEP_PAUSE) {
                shard.sweep(now);
            }
            if shard.entries.len() >= MAX_ENTRIES / SHARDS {
                return None;
            }
        }
        Some(Arc::clone(shard.entries.entry(key).or_default()))
    }

    fn shard(&self, key: &K) -> &Mutex<Shard<K>> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any bits of a hash will do"
        )]
        let at = self.hash.hash_one(key) as usize % SHARDS;
        &self.shards[at]
    }

    /// Removes what says no more than a new entry would.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.shards.iter().for_each(|shard| shard.lock().sweep(now));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| shard.lock().entries.len()).sum()
    }
}

impl<K: Hash + Eq> Shard<K> {
    fn sweep(&mut self, now: Instant) {
        self.swept = Some(now);
        self.entries
            .retain(|_, usage| Arc::strong_count(usage) > 1 || !usage.is_unused(now));
        if self.entries.capacity() > 4 * self.entries.len() {
            self.entries.shrink_to_fit();
        }
    }
}

impl Usage {
    fn is_unused(&self, now: Instant) -> bool {
        let buckets = [&self.connects, &self.messages, &self.bytes, &self.requests];
        self.connections.load(Ordering::Relaxed) == 0 && buckets.iter().all(|it| it.is_full(now))
    }
}

impl Place {
    /// Counts a connection, if there are fewer than `most`.
    pub(super) fn take(usage: Arc<Usage>, most: usize) -> Option<Self> {
        let connections = &usage.connections;
        let more = |count| (count < most).then_some(count + 1);
        connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(Self(usage))
    }

    pub(super) fn usage(&self) -> &Usage {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::{super::bucket::Rate, *};

    fn use_up(usage: &Usage, seconds: u64) {
        let rate = Rate {
            per_second: NonZeroU32::MIN,
            burst: Duration::from_secs(1),
        };
        let amount = usize::try_from(seconds).unwrap();
        usage
            .connects
            .take(amount, rate, Duration::MAX, Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_a_connection_or_has_used_something_up_is_kept_and_nobody_else() {
        let table = Table::new();
        let place = Place::take(table.usage("connected").unwrap(), 1).unwrap();
        assert!(Place::take(table.usage("connected").unwrap(), 1).is_none());
        use_up(&table.usage("refused").unwrap(), 60);
        drop(table.usage("looked up").unwrap());
        table.sweep();
        assert_eq!(table.len(), 2);
        tokio::time::advance(Duration::from_mins(1)).await;
        table.sweep();
        assert_eq!(table.len(), 1);
        drop(place);
        table.sweep();
        assert_eq!(table.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_keys_is_bounded_and_passes() {
        let table = Table::new();
        let place = Place::take(table.usage(usize::MAX).unwrap(), 1).unwrap();
        let flood = |table: &Table<usize>| {
            let keys = 0..2 * MAX_ENTRIES;
            let kept = keys.filter_map(|key| table.usage(key));
            kept.map(|usage| use_up(&usage, 60)).count()
        };
        let kept = flood(&table);
        assert_eq!(kept + 1, MAX_ENTRIES);
        assert_eq!(table.len(), MAX_ENTRIES);
        assert!(table.usage(usize::MAX).is_some(), "who is known is limited");
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(
            table.usage(2 * MAX_ENTRIES).is_some(),
            "there is room again"
        );
        table.sweep();
        assert_eq!(table.len(), 1);
        drop(place);
    }
}
