//! The terms that have a member.
//!
//! Must not know what a term is. Invariant: there is at least one.

use std::collections::BTreeSet;

/// What members know a term by: its name would take four times as much.
pub(super) type TermNumber = u32;

/// At least one term. Most users are at one node.
#[derive(Debug, Clone)]
pub(super) enum Terms {
    One(TermNumber),
    #[expect(
        clippy::box_collection,
        reason = "whoever is at one node pays for the size of both"
    )]
    Several(Box<BTreeSet<TermNumber>>),
}

impl Terms {
    pub(super) fn contains(&self, term: TermNumber) -> bool {
        match self {
            Self::One(one) => *one == term,
            Self::Several(terms) => terms.contains(&term),
        }
    }

    pub(super) fn insert(&mut self, term: TermNumber) {
        match self {
            Self::One(one) if *one == term => {}
            Self::One(one) => *self = Self::Several(Box::new(BTreeSet::from([*one, term]))),
            Self::Several(terms) => _ = terms.insert(term),
        }
    }

    /// The last one stays.
    pub(super) fn remove(&mut self, term: TermNumber) {
        if let Self::Several(terms) = self
            && terms.len() > 1
        {
            terms.remove(&term);
        }
    }

    pub(super) fn is_only(&self, term: TermNumber) -> bool {
        match self {
            Self::One(one) => *one == term,
            Self::Several(terms) => terms.len() == 1 && terms.contains(&term),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_take_two_words_and_the_last_one_stays() {
        assert_eq!(size_of::<Terms>(), 2 * size_of::<usize>());
        let mut terms = Terms::One(1);
        terms.insert(1);
        assert!(terms.is_only(1));
        terms.insert(2);
        assert!(terms.contains(1) && terms.contains(2) && !terms.is_only(2));
        terms.remove(1);
        terms.remove(2);
        assert!(terms.is_only(2) && !terms.contains(1));
    }
}
