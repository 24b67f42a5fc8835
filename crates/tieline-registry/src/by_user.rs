//! A map by user that takes little for few: there are many rosters, and most are small. One that was larger keeps the
//! form and the room that it had then.
//!
//! Must not know what is kept of a user. Invariant: it is in the order of the users.

use std::{collections::BTreeMap, mem, ops::Bound, sync::Arc};

/// Users in a list, at most. A node of a tree has room for eleven, which a roster of one would pay for.
const FEW: usize = 64;

/// What is kept of each user.
#[derive(Debug, Clone)]
pub(crate) enum ByUser<V> {
    Few(Vec<(Arc<str>, V)>),
    #[expect(
        clippy::box_collection,
        reason = "few users are the common case, and pay for the size of both"
    )]
    Many(Box<BTreeMap<Arc<str>, V>>),
}

impl<V> ByUser<V> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    pub(crate) fn contains(&self, user: &str) -> bool {
        self.get(user).is_some()
    }

    pub(crate) fn get(&self, user: &str) -> Option<&V> {
        self.entry(user).map(|(_, value)| value)
    }

    /// What is kept, with the user.
    pub(crate) fn entry(&self, user: &str) -> Option<(&Arc<str>, &V)> {
        match self {
            Self::Few(few) => {
                let (user, value) = &few[place(few, user).ok()?];
                Some((user, value))
            }
            Self::Many(many) => many.get_key_value(user),
        }
    }

    pub(crate) fn get_mut(&mut self, user: &str) -> Option<&mut V> {
        match self {
            Self::Few(few) => place(few, user).ok().map(|at| &mut few[at].1),
            Self::Many(many) => many.get_mut(user),
        }
    }

    /// Returns what was there before.
    pub(crate) fn insert(&mut self, user: Arc<str>, value: V) -> Option<V> {
        let few = match self {
            Self::Few(few) => few,
            Self::Many(many) => return many.insert(user, value),
        };
        match place(few, &user) {
            Ok(at) => Some(mem::replace(&mut few[at].1, value)),
            Err(at) if few.len() < FEW => {
                if few.len() == few.capacity() {
                    few.reserve_exact((few.len() / 4).max(1));
                }
                few.insert(at, (user, value));
                None
            }
            Err(_) => {
                let mut many: BTreeMap<_, _> = mem::take(few).into_iter().collect();
                many.insert(user, value);
                *self = Self::Many(Box::new(many));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, user: &str) -> Option<(Arc<str>, V)> {
        match self {
            Self::Few(few) => place(few, user).ok().map(|at| few.remove(at)),
            Self::Many(many) => many.remove_entry(user),
        }
    }

    pub(crate) fn retain(&mut self, mut stays: impl FnMut(&Arc<str>, &mut V) -> bool) {
        match self {
            Self::Few(few) => few.retain_mut(|(user, value)| stays(user, value)),
            Self::Many(many) => many.retain(stays),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        self.after(None)
    }

    /// Those behind a user, who need not be there.
    pub(crate) fn after(&self, last: Option<&str>) -> impl Iterator<Item = (&Arc<str>, &V)> {
        let (few, many) = match self {
            Self::Few(few) => {
                let is_before =
                    |(user, _): &(Arc<str>, V)| last.is_some_and(|last| **user <= *last);
                (&few[few.partition_point(is_before)..], None)
            }
            Self::Many(many) => {
                let after = last.map_or(Bound::Unbounded, Bound::Excluded);
                (
                    &[][..],
                    Some(many.range::<str, _>((after, Bound::Unbounded))),
                )
            }
        };
        let few = few.iter().map(|(user, value)| (user, value));
        few.chain(many.into_iter().flatten())
    }

    pub(crate) fn into_users(self) -> impl Iterator<Item = (Arc<str>, V)> {
        let (few, many) = match self {
            Self::Few(few) => (few, BTreeMap::new()),
            Self::Many(many) => (Vec::new(), *many),
        };
        few.into_iter().chain(many)
    }
}

fn place<V>(few: &[(Arc<str>, V)], user: &str) -> Result<usize, usize> {
    few.binary_search_by(|(own, _)| (**own).cmp(user))
}

impl<V> Default for ByUser<V> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<V> Extend<(Arc<str>, V)> for ByUser<V> {
    fn extend<I: IntoIterator<Item = (Arc<str>, V)>>(&mut self, users: I) {
        for (user, value) in users {
            self.insert(user, value);
        }
    }
}

impl<V> FromIterator<(Arc<str>, V)> for ByUser<V> {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, V)>>(users: I) -> Self {
        let mut all = Self::default();
        all.extend(users);
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As the map of the standard library, whether few or many are there.
        #[test]
        fn it_is_a_map_in_order(steps in prop::collection::vec((any::<bool>(), 0..200_u8), 0..600)) {
            let (mut map, mut model) = (ByUser::default(), BTreeMap::new());
            for (number, (comes, user)) in steps.into_iter().enumerate() {
                let user: Arc<str> = user.to_string().into();
                if comes {
                    let before = map.insert(Arc::clone(&user), number);
                    prop_assert_eq!(before, model.insert(Arc::clone(&user), number));
                } else {
                    prop_assert_eq!(map.remove(&user), model.remove_entry(&user));
                }
                prop_assert_eq!(map.get(&user), model.get(&user));
                prop_assert_eq!(map.len(), model.len());
                if number % 100 == 99 {
                    map.retain(|_, value| *value % 3 > 0);
                    model.retain(|_, value| *value % 3 > 0);
                }
                let after = model.range::<str, _>((Bound::Excluded(&*user), Bound::Unbounded));
                prop_assert!(map.after(Some(&user)).eq(after));
            }
            prop_assert!(map.iter().eq(&model));
            prop_assert!(map.into_users().eq(model));
        }
    }

    #[test]
    fn one_user_takes_no_room_for_more() {
        let one = ByUser::from_iter([("ada".into(), 1)]);
        assert!(matches!(&one, ByUser::Few(few) if few.capacity() == 1));
        assert_eq!(size_of::<ByUser<Arc<str>>>(), 24);
    }
}
