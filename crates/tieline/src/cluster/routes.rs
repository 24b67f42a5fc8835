//! The routes that were found: client id → peer.
//!
//! Bounded, and only ever a guess: a peer that answers "not here" corrects it. Two generations stand in
//! for a use order: what is not asked for while one generation fills is forgotten.

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
    /// std's: strangers choose ids. One hash names the shard and finds the entry.
    hasher: RandomState,
    /// Entries of one generation of one shard.
    most: usize,
}

#[derive(Debug)]
struct Generations<R> {
    young: HashTable<Known<R>>,
    old: HashTable<Known<R>>,
}

#[derive(Debug)]
struct Known<R> {
    hash: u64,
    id: Arc<str>,
    route: R,
}

impl<R: Clone> Routes<R> {
    /// At most about `entries` routes.
    pub(super) fn new(entries: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            most: entries.div_ceil(2 * SHARDS),
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<R> {
        let (hash, shard) = self.shard(id);
        let mut shard = shard.lock();
        if let Some(known) = shard.young.find(hash, |known| *known.id == *id) {
            return Some(known.route.clone());
        }
        let known = take(&mut shard.old, hash, |known| *known.id == *id)?;
        let route = known.route.clone();
        shard.insert(known, self.most);
        Some(route)
    }

    pub(super) fn insert(&self, id: &Arc<str>, route: R) {
        let (hash, shard) = self.shard(id);
        let mut shard = shard.lock();
        take(&mut shard.old, hash, |known| known.id == *id);
        let id = Arc::clone(id);
        shard.insert(Known { hash, id, route }, self.most);
    }

    /// Takes a route out.
    pub(super) fn take(&self, id: &str) -> Option<R> {
        self.unregister(id, |_| true)
    }

    /// Forgets a route if it is still the one that failed.
    pub(super) fn unregister(&self, id: &str, failed: impl Fn(&R) -> bool) -> Option<R> {
        let (hash, shard) = self.shard(id);
        let mut shard = shard.lock();
        let is_it = |known: &Known<R>| *known.id == *id && failed(&known.route);
        let old = take(&mut shard.old, hash, is_it);
        let known = take(&mut shard.young, hash, is_it).or(old)?;
        Some(known.route)
    }

    fn shard(&self, id: &str) -> (u64, &Mutex<Generations<R>>) {
        let hash = self.hasher.hash_one(id);
        // By the upper half: the tables go by the lower.
        (hash, &self.shards[(hash >> 32) as usize % SHARDS])
    }
}

impl<R> Generations<R> {
    fn insert(&mut self, known: Known<R>, most: usize) {
        let is_it = |other: &Known<R>| other.id == known.id;
        let is_full = self.young.len() >= most && self.young.find(known.hash, is_it).is_none();
        if is_full {
            self.old = std::mem::take(&mut self.young);
        }
        match self.young.entry(known.hash, is_it, |other| other.hash) {
            Entry::Occupied(mut older) => *older.get_mut() = known,
            Entry::Vacant(place) => drop(place.insert(known)),
        }
    }
}

fn take<R>(
    table: &mut HashTable<Known<R>>,
    hash: u64,
    is_it: impl FnMut(&Known<R>) -> bool,
) -> Option<Known<R>> {
    let entry = table.find_entry(hash, is_it).ok()?;
    Some(entry.remove().0)
}

impl<R> Default for Generations<R> {
    fn default() -> Self {
        Self {
            young: HashTable::new(),
            old: HashTable::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_is_asked_for() {
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
    fn only_the_route_that_failed_is_forgotten() {
        let routes = Routes::new(1_000);
        let id: Arc<str> = "a".into();
        routes.insert(&id, 1);
        routes.unregister("a", |route| *route == 2);
        assert_eq!(routes.get("a"), Some(1));
        routes.unregister("a", |route| *route == 1);
        assert_eq!(routes.get("a"), None);
    }
}
