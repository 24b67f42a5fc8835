//! The slots of a node, by roster and user.
//!
//! Invariants: the slots of a roster share its name; a roster without slots takes no room.

use std::{collections::HashMap, sync::Arc};

use super::slot::{Slot, SlotKey};
use crate::{by_user::ByUser, roster::RosterName};

#[derive(Debug, Default)]
pub(super) struct Slots {
    rosters: HashMap<RosterName, ByUser<Slot>>,
    len: usize,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The key of a slot, of the names that are here, if they are.
    pub(super) fn key(
        &self,
        roster: &RosterName,
        user: impl AsRef<str> + Into<Arc<str>>,
    ) -> SlotKey {
        match self.rosters.get_key_value(roster) {
            None => (roster.clone(), user.into()),
            Some((roster, slots)) => {
                let own = slots.entry(user.as_ref());
                let own = own.map(|(user, _)| Arc::clone(user));
                (roster.clone(), own.unwrap_or_else(|| user.into()))
            }
        }
    }

    pub(super) fn get(&self, roster: &RosterName, user: &str) -> Option<&Slot> {
        self.rosters.get(roster)?.get(user)
    }

    pub(super) fn get_mut(&mut self, (roster, user): &SlotKey) -> Option<&mut Slot> {
        self.rosters.get_mut(roster)?.get_mut(user)
    }

    /// A slot, which is a new one if there was none.
    pub(super) fn get_or_insert(&mut self, (roster, user): &SlotKey) -> &mut Slot {
        let slots = self.rosters.entry(roster.clone()).or_default();
        if !slots.contains(user) {
            slots.insert(Arc::clone(user), Slot::default());
            self.len += 1;
        }
        slots.get_mut(user).expect("it was inserted above")
    }

    pub(super) fn remove(&mut self, (roster, user): &SlotKey) {
        let Some(slots) = self.rosters.get_mut(roster) else {
            return;
        };
        self.len -= usize::from(slots.remove(user).is_some());
        if slots.len() == 0 {
            self.rosters.remove(roster);
        }
    }

    /// Keeps some, which may be changed.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&mut Slot) -> bool) {
        self.rosters.retain(|_, slots| {
            slots.retain(|_, slot| stays(slot));
            slots.len() > 0
        });
        self.len = self.rosters.values().map(ByUser::len).sum();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SlotKey, &Slot)> {
        self.rosters.iter().flat_map(|(roster, slots)| {
            let slots = slots.iter();
            slots.map(|(user, slot)| ((roster.clone(), Arc::clone(user)), slot))
        })
    }
}
