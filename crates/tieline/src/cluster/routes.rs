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
    /// selects the shard and finds the entry, here and in the ordering queue.
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

    /// The hash of an id, by which its route is found.
    pub(super) fn hash(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }

    /// The route of an id with this hash.
    pub(super) fn get(&self, hash: u64, id: &str) -> Option<R> {
        let mut shard = self.shard(hash).lock();
        if let Some(cached) = shard.recent.find(hash, |cached| *cached.id == *id) {
            return Some(cached.route.clone());
        }
        let cached = take(&mut shard.old, hash, |cached| *cached.id == *id)?;
        let route = cached.route.clone();
        shard.insert(cached, self.max_entries);
        Some(route)
    }

    pub(super) fn insert(&self, hash: u64, id: &Arc<str>, route: R) {
        let mut shard = self.shard(hash).lock();
        take(&mut shard.old, hash, |cached| cached.id == *id);
        let id = Arc::clone(id);
        shard.insert(CachedRoute { hash, id, route }, self.max_entries);
    }

    /// Removes a route.
    pub(super) fn remove(&self, hash: u64, id: &str) -> Option<R> {
        self.remove_if(hash, id, |_| true)
    }

    /// Removes a route if it is still the one that `failed`.
    pub(super) fn remove_if(&self, hash: u64, id: &str, failed: impl Fn(&R) -> bool) -> Option<R> {
        let mut shard = self.shard(hash).lock();
        let is_same = |cached: &CachedRoute<R>| *cached.id == *id && failed(&cached.route);
        let old = take(&mut shard.old, hash, is_same);
        let cached = take(&mut shard.recent, hash, is_same).or(old)?;
        Some(cached.route)
    }

    fn shard(&self, hash: u64) -> &Mutex<Generations<R>> {
        // By the upper half of the hash: the tables use the lower half.
        &self.shards[(hash >> 32) as usize % SHARDS]
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

    fn insert(routes: &Routes<i32>, id: &str, route: i32) {
        routes.insert(routes.hash(id), &id.into(), route);
    }

    fn get(routes: &Routes<i32>, id: &str) -> Option<i32> {
        routes.get(routes.hash(id), id)
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_read() {
        let routes = Routes::new(1_000);
        insert(&routes, "kept", 0);
        for i in 0..10_000 {
            insert(&routes, &format!("client {i}"), i);
            assert_eq!(get(&routes, "kept"), Some(0), "after {i}");
        }
        let held = |i: &i32| get(&routes, &format!("client {i}")).is_some();
        let held = (0..10_000).filter(held).count();
        assert!((100..=1_100).contains(&held), "{held}");
    }

    #[test]
    fn only_the_route_that_failed_is_removed() {
        let routes = Routes::new(1_000);
        let hash = routes.hash("a");
        insert(&routes, "a", 1);
        routes.remove_if(hash, "a", |route| *route == 2);
        assert_eq!(get(&routes, "a"), Some(1));
        routes.remove_if(hash, "a", |route| *route == 1);
        assert_eq!(get(&routes, "a"), None);
    }
}
