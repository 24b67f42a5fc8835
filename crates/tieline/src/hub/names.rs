//! The users or the groups of a shard: their members, by name.
//!
//! Must not know which connections there are. Invariant: a name is here as long as it has members, or
//! something waits for those it had; unused names cost nothing.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use super::{
    inner::ConnectionInner,
    members::{Members, Removed, address_hash},
    parts::Parts,
};

// SipHash, the hasher of std: clients may choose names.
pub(super) struct Names {
    table: Parts<Named>,
    hasher: RandomState,
}

struct Named {
    name: Arc<str>,
    members: Members<ConnectionInner>,
}

impl Names {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self {
            table: Parts::new(),
            hasher,
        }
    }

    /// The members of this name, with the name; `None` if there are none.
    pub(super) fn get(&self, name: &str) -> Option<(&Arc<str>, &Members<ConnectionInner>)> {
        let hash = self.hasher.hash_one(name);
        let named = self.table.find(hash, |named| *named.name == *name)?;
        (named.members.len() > 0).then_some((&named.name, &named.members))
    }

    /// The same, even if there are none by now.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Members<ConnectionInner>> {
        self.find_mut(self.hasher.hash_one(name), name)
    }

    /// Adds a connection that is not there; returns how many members there are now.
    pub(super) fn add(&mut self, name: &Arc<str>, conn: &Arc<ConnectionInner>) -> usize {
        let hash = self.hasher.hash_one(&**name);
        if self.find_mut(hash, name).is_none() {
            let named = Named {
                name: Arc::clone(name),
                members: Members::new(),
            };
            let hasher = &self.hasher;
            self.table
                .insert(hash, named, |named| hasher.hash_one(&*named.name));
        }
        let members = self.find_mut(hash, name).expect("it was added above");
        members.insert(address_hash(conn), Arc::clone(conn), address_hash);
        members.len()
    }

    /// Removes a connection as [`Members::remove`]; returns how many members are left, too.
    pub(super) fn remove(
        &mut self,
        name: &str,
        conn: &Arc<ConnectionInner>,
        remember: bool,
    ) -> (Removed, usize) {
        let hash = self.hasher.hash_one(name);
        let Some(members) = self.find_mut(hash, name) else {
            return (Removed::NotAMember, 0);
        };
        let removed = members.remove(address_hash(conn), conn, remember);
        let left = members.len();
        if members.is_unused() {
            self.table.remove(hash, |named| *named.name == *name);
        }
        (removed, left)
    }

    /// Removes a name that has neither members nor anything that waits.
    pub(super) fn remove_unused(&mut self, name: &str) {
        let hash = self.hasher.hash_one(name);
        if self
            .find_mut(hash, name)
            .is_some_and(|members| members.is_unused())
        {
            self.table.remove(hash, |named| *named.name == *name);
        }
    }

    fn find_mut(&mut self, hash: u64, name: &str) -> Option<&mut Members<ConnectionInner>> {
        let named = self.table.find_mut(hash, |named| *named.name == *name)?;
        Some(&mut named.members)
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
