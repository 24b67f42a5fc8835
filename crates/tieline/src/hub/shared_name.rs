//! Names that many connections have: their namespace and their subprotocol.
//!
//! Owns the names that were used last, so that connections share one allocation. Must not know what a name means.
//! Invariant: what is kept does not depend on how many names there are. A name that has lost its place to another
//! costs those who use it next an allocation of their own, nothing else.

use std::{
    hash::{BuildHasher, RandomState},
    ops::Deref,
    sync::Arc,
};

use parking_lot::Mutex;

/// Names that are kept.
const PLACES: usize = 64;

/// The longest name that is kept: that of a namespace. Longer subprotocols are rare.
const MAX_KEPT: usize = 255;

/// A name. One pointer, not the two of an `Arc<str>`: each connection has two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedName(Arc<Box<str>>);

impl SharedName {
    pub(super) fn new(name: &str) -> Self {
        Self(Arc::new(name.into()))
    }
}

impl Deref for SharedName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The names that were used last, each at the place that its hash selects.
pub(super) struct RecentNames {
    places: [Mutex<Option<SharedName>>; PLACES],
    hasher: RandomState,
}

impl RecentNames {
    pub(super) fn new() -> Self {
        Self {
            places: [const { Mutex::new(None) }; PLACES],
            hasher: RandomState::new(),
        }
    }

    /// A name, shared with those who have used it before.
    pub(super) fn share(&self, name: &str) -> SharedName {
        if name.len() > MAX_KEPT {
            return SharedName::new(name);
        }
        let place = (self.hasher.hash_one(name) >> 32) as usize % PLACES;
        let mut place = self.places[place].lock();
        if let Some(kept) = place.as_ref().filter(|kept| ***kept == *name) {
            return kept.clone();
        }
        place.insert(SharedName::new(name)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_same(one: &SharedName, other: &SharedName) -> bool {
        Arc::ptr_eq(&one.0, &other.0)
    }

    #[test]
    fn those_who_use_a_name_share_it() {
        let names = RecentNames::new();
        let (one, other) = (names.share("chat"), names.share("chat"));
        assert!(is_same(&one, &other) && *one == *"chat");
    }

    #[test]
    fn any_number_of_names_may_be_used_and_few_are_kept() {
        let names = RecentNames::new();
        for n in 0..10 * PLACES {
            let name = n.to_string();
            assert_eq!(*names.share(&name), *name);
        }
        let long = "x".repeat(MAX_KEPT + 1);
        assert!(!is_same(&names.share(&long), &names.share(&long)));
        let kept = names.places.iter().filter_map(|place| place.lock().clone());
        assert!(kept.into_iter().all(|kept| kept.len() <= MAX_KEPT));
    }
}
