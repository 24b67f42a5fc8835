//! A hash table in parts, so that no single step takes time proportional to all of it.
//!
//! Owns the entries and how they are spread over the parts. Must not know what the entries are; callers
//! hash and compare. A large table grows part by part, and is walked part by part, so that its lock is
//! held for one part at a time. The first entry needs no allocation: most users have one connection.
//! Invariant: an entry stays in the part that its hash selects; only the split of the first part moves
//! entries, once in the life of a table.

use hashbrown::{HashTable, hash_table};

/// Parts of a table that has been split: 60,000 entries are 240 in each.
const PARTS: usize = 256;

/// Entries at which a table is split. It is not joined again.
const SPLIT_AT: usize = 1024;

#[derive(Debug)]
pub(super) enum Parts<T> {
    /// One part, which may be empty.
    Table(HashTable<T>),
    /// Apart, so that the pointer of the table tells which it is, and no other word has to.
    Other(Other<T>),
}

#[derive(Debug)]
pub(super) enum Other<T> {
    /// One part with one entry.
    Single(T),
    Many {
        parts: Box<[HashTable<T>]>,
        len: usize,
    },
}

/// The entries of one part.
pub(super) enum Part<'a, T> {
    Single(Option<&'a T>),
    Table(hash_table::Iter<'a, T>),
}

impl<T> Parts<T> {
    pub(super) const fn new() -> Self {
        Self::Table(HashTable::new())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Table(table) => table.len(),
            Self::Other(Other::Single(_)) => 1,
            Self::Other(Other::Many { len, .. }) => *len,
        }
    }

    /// The number of parts.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Table(_) | Self::Other(Other::Single(_)) => 1,
            Self::Other(Other::Many { parts, .. }) => parts.len(),
        }
    }

    /// The part of the entries with this hash.
    pub(super) fn part_of(&self, hash: u64) -> usize {
        match self {
            Self::Table(_) | Self::Other(Other::Single(_)) => 0,
            Self::Other(Other::Many { .. }) => part_of(hash),
        }
    }

    /// The entries of one part; `None` behind the last part.
    pub(super) fn part(&self, part: usize) -> Option<Part<'_, T>> {
        match self {
            Self::Table(table) => (part == 0).then(|| Part::Table(table.iter())),
            Self::Other(Other::Single(entry)) => (part == 0).then_some(Part::Single(Some(entry))),
            Self::Other(Other::Many { parts, .. }) => {
                parts.get(part).map(|table| Part::Table(table.iter()))
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.count())
            .filter_map(|part| self.part(part))
            .flatten()
    }

    pub(super) fn find(&self, hash: u64, mut is_wanted: impl FnMut(&T) -> bool) -> Option<&T> {
        match self {
            Self::Table(table) => table.find(hash, is_wanted),
            Self::Other(Other::Single(entry)) => is_wanted(entry).then_some(entry),
            Self::Other(Other::Many { parts, .. }) => parts[part_of(hash)].find(hash, is_wanted),
        }
    }

    pub(super) fn find_mut(
        &mut self,
        hash: u64,
        mut is_wanted: impl FnMut(&T) -> bool,
    ) -> Option<&mut T> {
        match self {
            Self::Table(table) => table.find_mut(hash, is_wanted),
            Self::Other(Other::Single(entry)) => is_wanted(entry).then_some(entry),
            Self::Other(Other::Many { parts, .. }) => {
                parts[part_of(hash)].find_mut(hash, is_wanted)
            }
        }
    }

    /// Adds an entry that is not there.
    pub(super) fn insert(&mut self, hash: u64, entry: T, hash_of: impl Fn(&T) -> u64) {
        match self {
            Self::Table(table) if table.capacity() == 0 => {
                *self = Self::Other(Other::Single(entry));
            }
            Self::Table(table) if table.len() == SPLIT_AT => {
                *self = Self::split(std::mem::take(table), &hash_of);
                self.insert(hash, entry, hash_of);
            }
            Self::Table(table) => {
                table.insert_unique(hash, entry, hash_of);
            }
            Self::Other(Other::Single(_)) => {
                let mut table = HashTable::with_capacity(2);
                if let Some(first) = self.take_single() {
                    table.insert_unique(hash_of(&first), first, &hash_of);
                }
                table.insert_unique(hash, entry, hash_of);
                *self = Self::Table(table);
            }
            Self::Other(Other::Many { parts, len }) => {
                parts[part_of(hash)].insert_unique(hash, entry, hash_of);
                *len += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, hash: u64, mut is_wanted: impl FnMut(&T) -> bool) -> Option<T> {
        let table = match self {
            Self::Table(table) => table,
            Self::Other(Other::Single(entry)) if is_wanted(entry) => return self.take_single(),
            Self::Other(Other::Single(_)) => return None,
            Self::Other(Other::Many { parts, len }) => {
                let entry = parts[part_of(hash)].find_entry(hash, is_wanted).ok()?;
                *len -= 1;
                return Some(entry.remove().0);
            }
        };
        let entry = table.find_entry(hash, is_wanted).ok()?;
        Some(entry.remove().0)
    }

    /// The only entry, which is no longer here.
    fn take_single(&mut self) -> Option<T> {
        match std::mem::replace(self, Self::new()) {
            Self::Other(Other::Single(entry)) => Some(entry),
            _ => None,
        }
    }

    fn split(table: HashTable<T>, hash_of: impl Fn(&T) -> u64) -> Self {
        let len = table.len();
        let mut parts: Box<[HashTable<T>]> = (0..PARTS).map(|_| HashTable::new()).collect();
        for entry in table {
            let hash = hash_of(&entry);
            parts[part_of(hash)].insert_unique(hash, entry, &hash_of);
        }
        Self::Other(Other::Many { parts, len })
    }
}

impl<'a, T> Iterator for Part<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        match self {
            Self::Single(entry) => entry.take(),
            Self::Table(entries) => entries.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Single(entry) => (entry.iter().len(), Some(entry.iter().len())),
            Self::Table(entries) => entries.size_hint(),
        }
    }

    fn fold<B, F: FnMut(B, &'a T) -> B>(self, start: B, step: F) -> B {
        match self {
            Self::Single(entry) => entry.into_iter().fold(start, step),
            Self::Table(entries) => entries.fold(start, step),
        }
    }
}

impl<T> ExactSizeIterator for Part<'_, T> {}

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
        assert_eq!(parts.remove(hash(&0), |_| true), None);
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
    fn a_single_entry_is_found_and_removed_without_a_table() {
        let mut parts = Parts::new();
        for entry in [3, 5] {
            parts.insert(hash(&entry), entry, hash);
            assert!(matches!(parts, Parts::Other(Other::Single(_))));
            assert!(parts.part(0).is_some_and(|part| part.len() == 1));
            assert!(parts.iter().eq([&entry]) && parts.part(1).is_none());
            assert_eq!(parts.remove(hash(&7), |found| *found == 7), None);
            assert_eq!(
                parts.remove(hash(&entry), |found| *found == entry),
                Some(entry)
            );
            assert_eq!((parts.len(), parts.iter().count()), (0, 0));
        }
    }

    #[test]
    fn a_small_table_takes_no_more_room_than_a_plain_one() {
        assert_eq!(size_of::<Parts<usize>>(), size_of::<HashTable<usize>>());
    }
}
