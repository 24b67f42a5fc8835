//! The users or the groups of a shard: their members, by name.
//!
//! Owns what the hub's map of shards says about this shard. Must not know which connections there are.
//! Invariants: a name is here as long as it has members, or something waits for those it had; unused names
//! cost nothing; the map has this shard for a name as long as it has members here.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use super::{
    inner::ConnectionInner,
    members::{Members, Removed, address_hash},
    parts::Parts,
    shard_map::ShardMap,
};

// SipHash, the hasher of std: clients may choose names.
pub(super) struct Names {
    /// Boxed: up to half of a table's places are empty.
    table: Parts<Box<Named>>,
    hasher: RandomState,
    /// The shards that have members of a name, for senders.
    map: Arc<ShardMap>,
    /// The number of this shard there.
    shard: usize,
}

struct Named {
    name: Arc<str>,
    members: Members<ConnectionInner>,
}

impl Names {
    pub(super) fn new(hasher: RandomState, map: Arc<ShardMap>, shard: usize) -> Self {
        Self {
            table: Parts::new(),
            hasher,
            map,
            shard,
        }
    }

    /// The members of this name, which has this hash, with the name; `None` if there are none.
    pub(super) fn get(
        &self,
        hash: u64,
        name: &str,
    ) -> Option<(&Arc<str>, &Members<ConnectionInner>)> {
        let named = self.table.find(hash, |named| *named.name == *name)?;
        (named.members.len() > 0).then_some((&named.name, &named.members))
    }

    /// The same, even if there are none by now.
    pub(super) fn get_mut(
        &mut self,
        hash: u64,
        name: &str,
    ) -> Option<&mut Members<ConnectionInner>> {
        let named = self.table.find_mut(hash, |named| *named.name == *name)?;
        Some(&mut named.members)
    }

    /// Adds a connection that is not there; returns how many members there are now, and the name that they share.
    pub(super) fn add(
        &mut self,
        name: &Arc<str>,
        conn: &Arc<ConnectionInner>,
    ) -> (usize, &Arc<str>) {
        let hash = self.hasher.hash_one(&**name);
        if self.get_mut(hash, name).is_none() {
            let named = Box::new(Named {
                name: Arc::clone(name),
                members: Members::new(),
            });
            let hasher = &self.hasher;
            self.table
                .insert(hash, named, |named| hasher.hash_one(&*named.name));
        }
        let named = self.table.find_mut(hash, |named| *named.name == **name);
        let Named { name, members } = &mut **named.expect("it was added above");
        members.insert(address_hash(conn), Arc::clone(conn), address_hash);
        let count = members.len();
        if count == 1 {
            self.map.insert(hash, self.shard);
        }
        (count, name)
    }

    /// Removes a connection as [`Members::remove`]; returns how many members are left, too.
    pub(super) fn remove(
        &mut self,
        name: &str,
        conn: &Arc<ConnectionInner>,
        remember: bool,
    ) -> (Removed, usize) {
        let hash = self.hasher.hash_one(name);
        let Some(members) = self.get_mut(hash, name) else {
            return (Removed::NotAMember, 0);
        };
        let removed = members.remove(address_hash(conn), conn, remember);
        let left = members.len();
        if members.is_unused() {
            self.table.remove(hash, |named| *named.name == *name);
        }
        if removed != Removed::NotAMember && left == 0 && !self.has_members(hash) {
            self.map.remove(hash, self.shard);
        }
        (removed, left)
    }

    /// Removes a name that has neither members nor anything that waits.
    pub(super) fn remove_unused(&mut self, hash: u64, name: &str) {
        if self
            .get_mut(hash, name)
            .is_some_and(|members| members.is_unused())
        {
            self.table.remove(hash, |named| *named.name == *name);
        }
    }

    /// Whether any name with this hash has members: two names may have the same, and share their place in
    /// the map.
    fn has_members(&self, hash: u64) -> bool {
        let found = self.table.find(hash, |named| {
            named.members.len() > 0 && self.hasher.hash_one(&*named.name) == hash
        });
        found.is_some()
    }

    /// The names that have members, from this part on; returns the part with which to go on.
    pub(super) fn copy_slice(&self, part: usize, names: &mut Vec<Arc<str>>) -> Option<usize> {
        let entries = self.table.part(part)?;
        let in_use = entries.filter(|named| named.members.len() > 0);
        names.extend(in_use.map(|named| Arc::clone(&named.name)));
        let next = part + 1;
        (next < self.table.count()).then_some(next)
    }

    /// All names that have members.
    #[cfg(feature = "cluster")]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        let in_use = self.table.iter().filter(|named| named.members.len() > 0);
        in_use.map(|named| &named.name)
    }
}
