//! What several clients use at a time, and nobody else needs: opened by the first, closed with the last.
//!
//! Must not know what that is. Invariant: what nobody uses is not kept, and there are never more than twice as many
//! keys as were in use at a time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

/// Keys that are looked through at least before those are forgotten that nobody uses.
const MIN_SWEEP: usize = 64;

/// What is open, by its key.
pub(crate) struct Opened<K, V>(Mutex<Table<K, V>>);

struct Table<K, V> {
    open: HashMap<K, Weak<V>>,
    /// How many keys there may be before the next look.
    sweep_at: usize,
}

impl<K: Eq + Hash, V> Opened<K, V> {
    /// What is open under a key, or what `open` makes. Called under a lock: it must not come back here.
    pub(crate) fn get_or_open(&self, key: K, open: impl FnOnce() -> Arc<V>) -> Arc<V> {
        let mut table = self.0.lock();
        if let Some(value) = table.open.get(&key).and_then(Weak::upgrade) {
            return value;
        }
        let value = open();
        table.open.insert(key, Arc::downgrade(&value));
        if table.open.len() >= table.sweep_at {
            table.open.retain(|_, value| value.strong_count() > 0);
            table.sweep_at = (table.open.len() * 2).max(MIN_SWEEP);
        }
        value
    }
}

impl<K, V> Default for Opened<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Table {
            open: HashMap::new(),
            sweep_at: MIN_SWEEP,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_opens_and_keys_that_nobody_uses_are_forgotten() {
        let opened = Opened::default();
        let kept = opened.get_or_open(0, || Arc::new("kept"));
        for key in 1..10_000 {
            assert_eq!(*opened.get_or_open(key, || Arc::new("other")), "other");
            assert!(opened.0.lock().open.len() <= MIN_SWEEP);
        }
        assert!(Arc::ptr_eq(
            &kept,
            &opened.get_or_open(0, || Arc::new("again"))
        ));
        drop(kept);
        assert_eq!(*opened.get_or_open(0, || Arc::new("again")), "again");
    }
}
