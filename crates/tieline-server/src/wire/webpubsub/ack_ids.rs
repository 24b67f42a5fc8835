//! Which ack ids a connection has used.

/// Most runs of ids that are remembered. SDKs count upwards, so that one run is the rule.
const MOST_RUNS: usize = 128;

/// Remembers the ids of what succeeded, so that a repeated one is answered `Duplicate` and a failed
/// one may be tried again. Kept as runs of consecutive ids: 16 bytes for a client that counts.
#[derive(Debug, Default)]
pub(crate) struct AckIds {
    /// First and last of each run, ascending.
    runs: Vec<(u64, u64)>,
}

impl AckIds {
    pub(super) fn contains(&self, id: u64) -> bool {
        let at = self.runs.partition_point(|(_, last)| *last < id);
        self.runs.get(at).is_some_and(|(first, _)| *first <= id)
    }

    /// Remembers an id; beyond the bound the lowest run is forgotten.
    pub(super) fn insert(&mut self, id: u64) {
        let at = self.runs.partition_point(|(_, last)| *last < id);
        if self.runs.get(at).is_some_and(|(first, _)| *first <= id) {
            return;
        }
        let joins_next = self.runs.get(at).is_some_and(|(first, _)| *first - 1 == id);
        let joins_previous = at > 0 && self.runs[at - 1].1 + 1 == id;
        match (joins_previous, joins_next) {
            (true, true) => {
                self.runs[at - 1].1 = self.runs[at].1;
                self.runs.remove(at);
            }
            (true, false) => self.runs[at - 1].1 = id,
            (false, true) => self.runs[at].0 = id,
            (false, false) => self.runs.insert(at, (id, id)),
        }
        if self.runs.len() > MOST_RUNS {
            self.runs.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_counting_client_costs_one_run() {
        let mut acks = AckIds::default();
        (1..10_000).for_each(|id| acks.insert(id));
        assert_eq!(acks.runs, [(1, 9_999)]);
    }

    #[test]
    fn ids_in_any_order_are_remembered() {
        let ids = [5, 3, 4, 9, 1, 2, 7, 8, u64::MAX, 0, u64::MAX - 1, 5];
        let mut acks = AckIds::default();
        let mut model = BTreeSet::new();
        for id in ids {
            acks.insert(id);
            model.insert(id);
            for probe in (0..12).chain(u64::MAX - 3..=u64::MAX) {
                assert_eq!(
                    acks.contains(probe),
                    model.contains(&probe),
                    "{probe} after {id}"
                );
            }
        }
    }

    #[test]
    fn a_client_that_skips_forgets_the_oldest() {
        let mut acks = AckIds::default();
        (0..1000).for_each(|id| acks.insert(id * 2));
        assert_eq!(acks.runs.len(), MOST_RUNS);
        assert!(acks.contains(1998) && !acks.contains(0));
    }
}
