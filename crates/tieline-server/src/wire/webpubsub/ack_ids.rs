//! The ack ids that succeeded on a connection.
//!
//! Owns which ids are remembered. Must not know frames or operations. Invariant: memory is bounded; a
//! client that skips ids loses the lowest ones first.

/// Most ranges of ids that are remembered. SDKs count upwards, so one range is the rule.
const MAX_RANGES: usize = 128;

/// The ids of the operations that succeeded, so that a repeated one fails with `Duplicate` while a
/// failed one can be tried again. Kept as ranges of consecutive ids: a client that counts has one.
#[derive(Debug, Default)]
pub(crate) struct AckIds {
    /// First and last id of each range, ascending, with a gap between any two.
    #[allow(
        clippy::box_collection,
        reason = "an idle client has none, and a pointer is a third of a list"
    )]
    ranges: Option<Box<Vec<(u64, u64)>>>,
}

impl AckIds {
    pub(super) fn contains(&self, id: u64) -> bool {
        let ranges = self.ranges.as_deref().map_or(&[][..], Vec::as_slice);
        let at = ranges.partition_point(|(_, last)| *last < id);
        ranges.get(at).is_some_and(|(first, _)| *first <= id)
    }

    /// Remembers an id. Beyond the bound, the lowest range is forgotten.
    pub(super) fn insert(&mut self, id: u64) {
        // One range is the rule.
        let ranges = self
            .ranges
            .get_or_insert_with(|| Box::new(Vec::with_capacity(1)));
        let at = ranges.partition_point(|(_, last)| *last < id);
        if ranges.get(at).is_some_and(|(first, _)| *first <= id) {
            return;
        }
        let joins_next = ranges.get(at).is_some_and(|(first, _)| *first - 1 == id);
        let joins_previous = at > 0 && ranges[at - 1].1 + 1 == id;
        match (joins_previous, joins_next) {
            (true, true) => {
                ranges[at - 1].1 = ranges[at].1;
                ranges.remove(at);
            }
            (true, false) => ranges[at - 1].1 = id,
            (false, true) => ranges[at].0 = id,
            (false, false) => ranges.insert(at, (id, id)),
        }
        if ranges.len() > MAX_RANGES {
            ranges.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_counting_client_costs_one_range() {
        let mut ids = AckIds::default();
        (1..10_000).for_each(|id| ids.insert(id));
        assert_eq!(ids.ranges.as_deref(), Some(&vec![(1, 9_999)]));
    }

    #[test]
    fn ids_in_any_order_are_remembered() {
        let inserted = [5, 3, 4, 9, 1, 2, 7, 8, u64::MAX, 0, u64::MAX - 1, 5];
        let mut ids = AckIds::default();
        let mut model = BTreeSet::new();
        for id in inserted {
            ids.insert(id);
            model.insert(id);
            for probe in (0..12).chain(u64::MAX - 3..=u64::MAX) {
                assert_eq!(
                    ids.contains(probe),
                    model.contains(&probe),
                    "{probe} after {id}"
                );
            }
        }
    }

    #[test]
    fn a_client_that_skips_forgets_the_oldest() {
        let mut ids = AckIds::default();
        (0..1000).for_each(|id| ids.insert(id * 2));
        assert_eq!(
            ids.ranges.as_ref().map(|ranges| ranges.len()),
            Some(MAX_RANGES)
        );
        assert!(ids.contains(1998) && !ids.contains(0));
    }
}
