//! The groups that a connection is in.
//!
//! Knows names only; the index of the shard knows the members.

use std::sync::Arc;

/// A set of group names. Most connections are in few groups or in none: an empty set costs one pointer, and
/// searching a few names is faster than hashing.
#[derive(Debug, Default)]
#[expect(
    clippy::box_collection,
    reason = "a connection in no group pays for one pointer, not three"
)]
pub(super) struct Groups(Option<Box<Vec<Arc<str>>>>);

impl Groups {
    pub(super) fn of(names: Vec<Arc<str>>) -> Self {
        Self((!names.is_empty()).then(|| Box::new(names)))
    }

    pub(super) fn names(&self) -> &[Arc<str>] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.names().iter().any(|group| **group == *name)
    }

    pub(super) fn insert(&mut self, name: Arc<str>) {
        let names = self.0.get_or_insert_default();
        if names.len() == names.capacity() {
            names.reserve_exact((names.len() / 2).max(1));
        }
        names.push(name);
    }

    /// Removes a name; false if it is not there.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let Some(names) = &mut self.0 else {
            return false;
        };
        let Some(at) = names.iter().position(|group| **group == *name) else {
            return false;
        };
        names.swap_remove(at);
        if names.is_empty() {
            self.0 = None;
        }
        true
    }
}
