//! A hash table in parts, so that no single step takes time proportional to all of it.
//!
//! Owns the entries and how they are spread over the parts. Must not know what the entries are; callers
//! hash and compare. A large table grows part by part, and is walked part by part, so that its lock is
//! held for one part at a time. Invariant: an entry stays in the part that its hash selects; only the
//! split of the first part moves entries, once in the life of a table.

use hashbrown::{HashTable, hash_table};

/// Parts of a table that has been split: 60,000 entries are 240 in each.
const PARTS: usize = 256;

/// Entries at which a table is split. It is not joined again.
const SPLIT_AT: usize = 1024;

#[derive(Debug)]
pub(super) enum Parts<T> {
    One(HashTable<T>),
    Many {
        parts: Box<[HashTable<T>]>,
        len: usize,
    },
}

impl<T> Parts<T> {
    pub(super) const fn new() -> Self {
        Self::One(HashTable::new())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(table) => table.len(),
            Self::Many { len, .. } => *len,
        }
    }

    /// The number of parts.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many { parts, .. } => parts.len(),
        }
    }

    /// The part of the entries with this hash.
    pub(super) fn part_of(&self, hash: u64) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Many { .. } => part_of(hash),
        }
    }

    /// The entries of one part; `None` behind the last part.
    pub(super) fn part(&self, part: usize) -> Option<hash_table::Iter<'_, T>> {
        match self {
            Self::One(table) => (part == 0).then(|| table.iter()),
            Self::Many { parts, .. } => parts.get(part).map(HashTable::iter),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.count())
            .filter_map(|part| self.part(part))
            .flatten()
    }

    pub(super) fn find(&self, hash: u64, is_wanted: impl FnMut(&T) -> bool) -> Option<&T> {
        self.table(hash).find(hash, is_wanted)
    }

    pub(super) fn find_mut(
        &mut self,
        hash: u64,
        is_wanted: impl FnMut(&T) -> bool,
    ) -> Option<&mut T> {
        self.table_mut(hash).find_mut(hash, is_wanted)
    }

    /// Adds an entry that is not there.
    pub(super) fn insert(&mut self, hash: u64, entry: T, hash_of: impl Fn(&T) -> u64) {
        if let Self::One(table) = self
            && table.len() == SPLIT_AT
        {
            *self = Self::split(std::mem::take(table), &hash_of);
        }
        self.table_mut(hash).insert_unique(hash, entry, hash_of);
        if let Self::Many { len, .. } = self {
            *len += 1;
        }
    }

    pub(super) fn remove(&mut self, hash: u64, is_wanted: impl FnMut(&T) -> bool) -> Option<T> {
        let entry = self.table_mut(hash).find_entry(hash, is_wanted).ok()?;
        let (entry, _) = entry.remove();
        if let Self::Many { len, .. } = self {
            *len -= 1;
        }
        Some(entry)
    }

    fn split(table: HashTable<T>, hash_of: impl Fn(&T) -> u64) -> Self {
        let len = table.len();
        let mut parts: Box<[HashTable<T>]> = (0..PARTS).map(|_| HashTable::new()).collect();
        for entry in table {
            let hash = hash_of(&entry);
            parts[part_of(hash)].insert_unique(hash, entry, &hash_of);
        }
        Self::Many { parts, len }
    }

    fn table(&self, hash: u64) -> &HashTable<T> {
        match self {
            Self::One(table) => table,
            Self::Many { parts, .. } => &parts[part_of(hash)],
        }
    }

    fn table_mut(&mut self, hash: u64) -> &mut HashTable<T> {
        match self {
            Self::One(table) => table,
            Self::Many { parts, .. } => &mut parts[part_of(hash)],
        }
    }
}

/// By bits that neither select the shard nor the place in a part's table: those would be the same for all
/// entries of a part, or of a shard.
fn part_of(hash: u64) -> usize {
    (hash >> 24) as usize % PARTS
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use super::*;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as the table calls it")]
    fn hash(entry: &usize) -> u64 {
        BuildHasherDefault::<DefaultHasher>::default().hash_one(entry)
    }

    #[test]
    fn entries_are_found_and_removed_before_and_after_the_split() {
        let mut parts = Parts::new();
        for entry in 0..10 * SPLIT_AT {
            assert!(parts.find(hash(&entry), |found| *found == entry).is_none());
            parts.insert(hash(&entry), entry, hash);
            assert_eq!(parts.len(), entry + 1);
        }
        let mut all: Vec<_> = parts.iter().copied().collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..10 * SPLIT_AT));
        for entry in 0..10 * SPLIT_AT {
            assert!(
                parts
                    .find_mut(hash(&entry), |found| *found == entry)
                    .is_some()
            );
            let removed = parts.remove(hash(&entry), |found| *found == entry);
            assert_eq!(removed, Some(entry));
        }
        assert_eq!(parts.len(), 0);
    }

    #[test]
    fn no_part_holds_a_large_share_of_a_large_table() {
        let mut parts = Parts::new();
        (0..60_000).for_each(|entry| parts.insert(hash(&entry), entry, hash));
        let largest = (0..parts.count()).filter_map(|part| Some(parts.part(part)?.len()));
        assert!(largest.max() < Some(400));
    }

    #[test]
    fn a_small_table_takes_no_more_room_than_a_plain_one() {
        assert_eq!(size_of::<Parts<usize>>(), size_of::<HashTable<usize>>());
    }
}
