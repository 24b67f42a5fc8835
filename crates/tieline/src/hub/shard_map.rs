//! Which shards have members of a scope, so that a message takes no lock of the others.
//!
//! Owns a set of shards for each user, each group and each namespace but the default one, by the hash of its name. Must not know names or
//! members. Invariant: a set has exactly the shards with members of a name with this hash. A shard changes
//! its own part only, under the lock of its index.
//!
//! No member is missed: a join registers its shard before it releases the lock of the index, thus before it
//! returns, and a sender looks the set up after it was called. Both take the lock of the same table, so a
//! sender finds every shard whose join returned before its call. A join at the same time as the call may be
//! missed, as if it came later. A shard that is found and has lost its last member by then is asked in vain.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{
    parts::Parts,
    scope::{Hashed, Scope},
};

/// Shards in one set.
const BLOCK: usize = u64::BITS as usize;

/// The maps of a hub.
pub(super) struct ShardMaps {
    pub(super) namespaces: Arc<ShardMap>,
    pub(super) users: Arc<ShardMap>,
    pub(super) groups: Arc<ShardMap>,
    /// How many shards there are.
    count: usize,
}

impl ShardMaps {
    pub(super) fn new(count: usize) -> Self {
        Self {
            namespaces: Arc::new(ShardMap::new(count)),
            users: Arc::new(ShardMap::new(count)),
            groups: Arc::new(ShardMap::new(count)),
            count,
        }
    }

    /// The numbers of the shards that have members of a scope, in ascending order; all of them for
    /// everyone of the default namespace.
    pub(super) fn shards_of(&self, of: Hashed<Scope<'_>>) -> impl Iterator<Item = usize> {
        let (map, all) = match of.scope {
            Scope::Everyone => (None, 0..self.count),
            Scope::Namespace(_) => (Some(&self.namespaces), 0..0),
            Scope::User(_) => (Some(&self.users), 0..0),
            Scope::Group(_) => (Some(&self.groups), 0..0),
        };
        all.chain(map.into_iter().flat_map(move |map| map.shards_of(of.hash)))
    }
}

/// The shards of the users, of the groups, or of the namespaces.
pub(super) struct ShardMap {
    /// For each block of shards as many tables as a block has shards, so that they are not more contended
    /// than the shards. Empty if there is one shard, which is always asked.
    tables: Box<[Table]>,
    shards: usize,
}

/// Alone in its cache line: another core uses the next table.
#[repr(align(64))]
struct Table(Mutex<Parts<ShardSet>>);

/// The shards of a block that have members of the names with this hash: 16 bytes for each name in use.
struct ShardSet {
    hash: u64,
    shards: u64,
}

impl ShardMap {
    fn new(shards: usize) -> Self {
        let tables = match shards {
            1 => 0,
            _ => shards.div_ceil(BLOCK) * shards.min(BLOCK),
        };
        let table = |_| Table(Mutex::new(Parts::new()));
        Self {
            tables: (0..tables).map(table).collect(),
            shards,
        }
    }

    /// The shards that have members of a name with this hash, in ascending order.
    fn shards_of(&self, hash: u64) -> impl Iterator<Item = usize> {
        let blocks = self.shards.div_ceil(BLOCK);
        (0..blocks).flat_map(move |block| {
            let mut set = self.set(block, hash);
            std::iter::from_fn(move || {
                let lowest = set.trailing_zeros();
                // Clears the lowest bit; `None` if there was none.
                set &= set.checked_sub(1)?;
                Some(block * BLOCK + lowest as usize)
            })
        })
    }

    fn set(&self, block: usize, hash: u64) -> u64 {
        if self.tables.is_empty() {
            return 1;
        }
        let table = self.table(block, hash).lock();
        let set = table.find(hash, |set| set.hash == hash);
        set.map_or(0, |set| set.shards)
    }

    /// Notes that a shard has members of a name with this hash.
    pub(super) fn insert(&self, hash: u64, shard: usize) {
        if self.tables.is_empty() {
            return;
        }
        let (block, bit) = place(shard);
        let mut table = self.table(block, hash).lock();
        match table.find_mut(hash, |set| set.hash == hash) {
            Some(set) => set.shards |= bit,
            None => table.insert(hash, ShardSet { hash, shards: bit }, |set| set.hash),
        }
    }

    /// Notes that a shard has no more members of any name with this hash.
    pub(super) fn remove(&self, hash: u64, shard: usize) {
        if self.tables.is_empty() {
            return;
        }
        let (block, bit) = place(shard);
        let mut table = self.table(block, hash).lock();
        let Some(set) = table.find_mut(hash, |set| set.hash == hash) else {
            return;
        };
        set.shards &= !bit;
        if set.shards == 0 {
            table.remove(hash, |set| set.hash == hash);
        }
    }

    /// By bits of the hash that select nothing else: neither the shard of an id, nor a place in [`Parts`].
    fn table(&self, block: usize, hash: u64) -> &Mutex<Parts<ShardSet>> {
        let lanes = self.shards.min(BLOCK);
        let lane = (hash >> 40) as usize % lanes;
        &self.tables[block * lanes + lane].0
    }
}

/// The block of a shard, and its bit there.
fn place(shard: usize) -> (usize, u64) {
    (shard / BLOCK, 1 << (shard % BLOCK))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn shards_of(map: &ShardMap, hash: u64) -> Vec<usize> {
        map.shards_of(hash).collect()
    }

    proptest! {
        /// Few names, so that their sets fill and empty; in one block, and in several.
        #[test]
        fn a_set_has_the_shards_that_were_inserted_and_not_removed(
            count in prop_oneof![2..=64_usize, 65..=200_usize],
            changes in prop::collection::vec((0..4_u64, 0..200_usize, any::<bool>()), 0..300),
        ) {
            let map = ShardMap::new(count);
            let mut model = BTreeSet::new();
            for (name, shard, inserts) in changes {
                let (hash, shard) = (name << 40 | name, shard % count);
                if inserts {
                    map.insert(hash, shard);
                    model.insert((hash, shard));
                } else {
                    map.remove(hash, shard);
                    model.remove(&(hash, shard));
                }
                let expected = model.range((hash, 0)..=(hash, count));
                let expected: Vec<_> = expected.map(|(_, shard)| *shard).collect();
                prop_assert_eq!(shards_of(&map, hash), expected);
            }
        }
    }

    #[test]
    fn an_only_shard_is_always_asked_and_costs_nothing() {
        let map = ShardMap::new(1);
        assert_eq!(shards_of(&map, 7), [0]);
        map.insert(7, 0);
        map.remove(7, 0);
        assert_eq!(shards_of(&map, 7), [0]);
        assert!(map.tables.is_empty());
    }

    #[test]
    fn names_that_are_not_in_use_are_forgotten() {
        let map = ShardMap::new(100);
        for hash in 0..1000_u64 {
            map.insert(hash << 40, 3);
            map.insert(hash << 40, 99);
            map.remove(hash << 40, 3);
            map.remove(hash << 40, 99);
        }
        let kept = map.tables.iter().map(|table| table.0.lock().len());
        assert_eq!(kept.sum::<usize>(), 0);
    }
}
