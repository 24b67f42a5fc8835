//! Places in the journal: revisions of etcd, and transitions within one.
//!
//! Owns how a [`Position`] is written. A journal has a name, which it keeps until it is lost: places of another journal
//! mean nothing. Invariant: a place at which nothing happened is that of a whole revision.

use crate::roster::Position;

/// The index of what is behind all transitions of a revision.
const END: u64 = u64::MAX;

/// A place in a journal: behind so many transitions of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) revision: i64,
    index: u64,
}

impl Place {
    /// Behind everything that happened at a revision.
    pub(super) fn end_of(revision: i64) -> Self {
        let index = END;
        Self { revision, index }
    }

    /// Behind the transition with this number, from 1 on.
    pub(super) fn behind(revision: i64, index: u64) -> Self {
        Self { revision, index }
    }

    /// The last revision that is read as a whole here.
    pub(super) fn whole_revision(self) -> i64 {
        let is_whole = self.index == END;
        self.revision - i64::from(!is_whole)
    }

    /// The position in the journal of this name.
    pub(super) fn position(self, journal: &str) -> Position {
        let Self { revision, index } = self;
        let place = match index {
            END => format!("{journal}-{revision}"),
            _ => format!("{journal}-{revision}.{index}"),
        };
        Position::new(place).with_rank((revision.unsigned_abs(), index))
    }

    /// The name of the journal, and the place. `None` if no registry on etcd has written it.
    pub(super) fn parse(position: &str) -> Option<(&str, Self)> {
        let (journal, place) = position.rsplit_once('-')?;
        let place = match place.split_once('.') {
            None => Self::end_of(place.parse().ok()?),
            Some((revision, index)) => Self::behind(revision.parse().ok()?, index.parse().ok()?),
        };
        Some((journal, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_parsed_as_they_were_written_and_ordered() {
        let places = [
            Place::end_of(3),
            Place::behind(4, 1),
            Place::behind(4, 12),
            Place::end_of(4),
        ];
        assert!(places.is_sorted());
        for place in places {
            let position = place.position("a-b");
            assert_eq!(Place::parse(position.as_str()), Some(("a-b", place)));
            let reached = places.map(|other| position.has_reached(&other.position("a-b")));
            assert_eq!(reached, places.map(|other| place >= other));
        }
        assert_eq!(places.map(Place::whole_revision), [3, 3, 3, 4]);
        for invalid in ["", "7", "a-", "a-x", "a-1.x"] {
            assert_eq!(Place::parse(invalid), None, "{invalid}");
        }
    }
}
