//! Cached routes: client id → route.
//!
//! Owns the bound of the cache. Must not know what a route is. Invariant: a route is a guess, which a
//! peer that answers "not here" corrects. Two generations approximate the order of use: a route that is
//! not read while one generation fills is dropped.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use hashbrown::{HashTable, hash_table::Entry};
use parking_lot::Mutex;

const SHARDS: usize = 16;

#[derive(Debug)]
pub(super) struct Routes<R> {
    shards: [Mutex<Generations<R>>; SHARDS],
    /// The standard library's keyed hash, since clients choose ids and could collide them. One hash
    /// selects the shard and finds the entry.
    hasher: RandomState,
    /// The bound of one generation of one shard.
    max_entries: usize,
}

#[derive(Debug)]
struct Generations<R> {
    recent: HashTable<CachedRoute<R>>,
    old: HashTable<CachedRoute<R>>,
}

#[derive(Debug)]
struct CachedRoute<R> {
    hash: u64,
    id: Arc<str>,
    route: R,
}

impl<R: Clone> Routes<R> {
    /// Holds about `entries` routes at most.
    pub(super) fn new(entries: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            max_entries: entries.div_ceil(2 * SHARDS),
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<R> {
        let (hash, shard) = self.shard(id);
        let mut shard = shard.lock();
        if let Some(cached) = shard.recent.find(hash, |cached| *cached.id == *id) {
            return Some(cached.route.clone());
        }
        let cached = take(&mut shard.old, hash, |cached| *cached.id == *id)?;
        let route = cached.route.clone();
        shard.insert(cached, self.max_entries);
        Some(route)
    }

    pub(super) fn insert(&self, id: &Arc<str>, route: R) {
        let (hash, shard) = self.shard(id);
        let mut shard = shard.lock();
        take(&mut shard.old, hash, |cached| cached.id == *id);
        let id = Arc::clone(id);
        shard.insert(CachedRoute { hash, id, route }, self.max_entries);
    }

    /// Removes a route.
    pub(super) fn remove(&self, id: &str) -> Option<R> {
        self.remove_if(id, |_| true)
    }

    /// Removes a route if it is still the one that `failed`.
    pub(super) fn remove_if(&self, id: &str, failed: impl Fn(&R) -> bool) -> Option<R> {
        let (hash, shard) = self.shard(id);
        let mut shard = shard.lock();
        let is_same = |cached: &CachedRoute<R>| *cached.id == *id && failed(&cached.route);
        let old = take(&mut shard.old, hash, is_same);
        let cached = take(&mut shard.recent, hash, is_same).or(old)?;
        Some(cached.route)
    }

    fn shard(&self, id: &str) -> (u64, &Mutex<Generations<R>>) {
        let hash = self.hasher.hash_one(id);
        // By the upper half of the hash: the tables use the lower half.
        (hash, &self.shards[(hash >> 32) as usize % SHARDS])
    }
}

impl<R> Generations<R> {
    fn insert(&mut self, cached: CachedRoute<R>, max_entries: usize) {
        let is_same = |other: &CachedRoute<R>| other.id == cached.id;
        let is_full =
            self.recent.len() >= max_entries && self.recent.find(cached.hash, is_same).is_none();
        if is_full {
            self.old = std::mem::take(&mut self.recent);
        }
        match self.recent.entry(cached.hash, is_same, |other| other.hash) {
            Entry::Occupied(mut older) => *older.get_mut() = cached,
            Entry::Vacant(place) => drop(place.insert(cached)),
        }
    }
}

fn take<R>(
    table: &mut HashTable<CachedRoute<R>>,
    hash: u64,
    is_same: impl FnMut(&CachedRoute<R>) -> bool,
) -> Option<CachedRoute<R>> {
    let entry = table.find_entry(hash, is_same).ok()?;
    Some(entry.remove().0)
}

impl<R> Default for Generations<R> {
    fn default() -> Self {
        Self {
            recent: HashTable::new(),
            old: HashTable::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_read() {
        let routes = Routes::new(1_000);
        let kept: Arc<str> = "kept".into();
        routes.insert(&kept, 0);
        for i in 0..10_000 {
            routes.insert(&format!("client {i}").into(), i);
            assert_eq!(routes.get("kept"), Some(0), "after {i}");
        }
        let held = |i: &i32| routes.get(&format!("client {i}")).is_some();
        let held = (0..10_000).filter(held).count();
        assert!((100..=1_100).contains(&held), "{held}");
    }

    #[test]
    fn only_the_route_that_failed_is_removed() {
        let routes = Routes::new(1_000);
        let id: Arc<str> = "a".into();
        routes.insert(&id, 1);
        routes.remove_if("a", |route| *route == 2);
        assert_eq!(routes.get("a"), Some(1));
        routes.remove_if("a", |route| *route == 1);
        assert_eq!(routes.get("a"), None);
    }
}
