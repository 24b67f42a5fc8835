//! The routes that were found: client id → peer.
//!
//! Bounded, and only ever a guess: a peer that answers "not here" corrects it. Two generations stand in
//! for a use order: what is not asked for while one generation fills is forgotten.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use parking_lot::Mutex;

const SHARDS: usize = 16;

#[derive(Debug)]
pub(super) struct Routes<R> {
    shards: [Mutex<Generations<R>>; SHARDS],
    hasher: RandomState,
    /// Entries of one generation of one shard.
    most: usize,
}

#[derive(Debug)]
struct Generations<R> {
    young: HashMap<Arc<str>, R>,
    old: HashMap<Arc<str>, R>,
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
        let mut shard = self.shard(id).lock();
        if let Some(route) = shard.young.get(id) {
            return Some(route.clone());
        }
        let (id, route) = shard.old.remove_entry(id)?;
        shard.insert(id, route.clone(), self.most);
        Some(route)
    }

    pub(super) fn insert(&self, id: &Arc<str>, route: R) {
        let mut shard = self.shard(id).lock();
        shard.old.remove(id);
        shard.insert(Arc::clone(id), route, self.most);
    }

    /// Takes a route out.
    pub(super) fn take(&self, id: &str) -> Option<R> {
        let mut shard = self.shard(id).lock();
        let old = shard.old.remove(id);
        shard.young.remove(id).or(old)
    }

    /// Forgets a route if it is still the one that failed.
    pub(super) fn forget(&self, id: &str, failed: impl Fn(&R) -> bool) {
        let mut shard = self.shard(id).lock();
        if shard.young.get(id).is_some_and(&failed) {
            shard.young.remove(id);
        }
        if shard.old.get(id).is_some_and(&failed) {
            shard.old.remove(id);
        }
    }

    fn shard(&self, id: &str) -> &Mutex<Generations<R>> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any bits of the hash will do"
        )]
        let hash = self.hasher.hash_one(id) as usize;
        &self.shards[hash % SHARDS]
    }
}

impl<R> Generations<R> {
    fn insert(&mut self, id: Arc<str>, route: R, most: usize) {
        if self.young.len() >= most && !self.young.contains_key(&id) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, route);
    }
}

impl<R> Default for Generations<R> {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
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
        routes.forget("a", |route| *route == 2);
        assert_eq!(routes.get("a"), Some(1));
        routes.forget("a", |route| *route == 1);
        assert_eq!(routes.get("a"), None);
    }
}
