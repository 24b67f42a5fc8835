//! Which hubs have a label of their own.
//!
//! Owns the cap. Must not know which hubs there are. Invariant: a hub has the same label for ever, so that what is
//! added under a label is subtracted under it.

use std::{collections::HashSet, sync::Arc};

use parking_lot::RwLock;

/// Hubs that get a label when their first client connects. Each is a few lines of the page, for ever.
const MAX_HUBS: usize = 100;

/// The label of all others.
const OTHER: &str = "other";

#[derive(Debug, Default)]
pub(super) struct HubNames(RwLock<HashSet<Arc<str>>>);

impl HubNames {
    /// The label of a hub: its name, for the first [`MAX_HUBS`] of them.
    pub(super) fn label(&self, hub: &str) -> Arc<str> {
        if let Some(name) = self.0.read().get(hub) {
            return Arc::clone(name);
        }
        let mut names = self.0.write();
        if let Some(name) = names.get(hub) {
            return Arc::clone(name);
        }
        if names.len() >= MAX_HUBS {
            return OTHER.into();
        }
        let name: Arc<str> = hub.into();
        names.insert(Arc::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hubs_keep_their_names_and_the_others_share_one() {
        let names = HubNames::default();
        let label = |number: usize| names.label(&format!("hub{number}"));
        for _ in 0..2 {
            assert_eq!(&*label(0), "hub0");
            assert_eq!(&*label(MAX_HUBS - 1 - 1), format!("hub{}", MAX_HUBS - 2));
            (0..MAX_HUBS).for_each(|number| assert_ne!(&*label(number), OTHER));
            (MAX_HUBS..1000).for_each(|number| assert_eq!(&*label(number), OTHER));
        }
        assert_eq!(names.0.read().len(), MAX_HUBS);
    }
}
