//! Which hubs have a label of their own.
//!
//! Owns the cap. Must not know which hubs there are. Invariant: a hub has the same label for ever, so that what is
//! added under a label is subtracted under it.

use std::{collections::HashSet, sync::Arc};

use parking_lot::RwLock;

/// Hubs that have a label, those of the configuration included, before others get none. Each is a few lines of the page, for ever.
const MAX_HUBS: usize = 100;

/// The label of all others.
const OTHER: &str = "other";

#[derive(Debug, Default)]
pub(super) struct HubNames(RwLock<HashSet<Arc<str>>>);

impl HubNames {
    /// Gives a hub a label of its own, whatever the cap. Before any client of it is counted.
    pub(super) fn add(&self, hub: &str) {
        self.0.write().insert(hub.into());
    }

    /// The label of a hub: its name, if it has one or there is room.
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
        names.add("listed");
        let label = |number: usize| names.label(&format!("hub{number}"));
        for _ in 0..2 {
            let own = |number| assert_eq!(*label(number), format!("hub{number}"));
            (0..MAX_HUBS - 1).for_each(own);
            (MAX_HUBS - 1..1000).for_each(|number| assert_eq!(&*label(number), OTHER));
            assert_eq!(&*names.label("listed"), "listed");
        }
        assert_eq!(names.0.read().len(), MAX_HUBS);
    }
}
