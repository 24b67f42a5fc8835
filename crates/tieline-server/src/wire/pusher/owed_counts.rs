//! Channels whose last count missed a node that did not answer.
//!
//! Owns when to count them again: once such a node answers, and less often while it is missed again. Must not know how
//! a channel is counted. Invariants: however many channels strangers make up, at most [`MAX`] are kept; a node that is
//! gone is not waited for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::counting_node::ChannelChanged;

/// Some 20 MB of names, and a word for each node that was missed. Beyond that, a channel is counted again only when it
/// next changes.
const MAX: usize = 100_000;

/// Between two repeated counts of a channel; twice as long after each that has missed a node again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The other nodes by address, and whether each answers.
pub(super) type Answering = BTreeMap<Arc<str>, bool>;

/// The channels for which a count is owed.
#[derive(Debug, Default)]
pub(super) struct OwedCounts(Mutex<HashMap<ChannelChanged, Owed>>);

#[derive(Debug)]
struct Owed {
    /// None while the count is being repeated.
    missed: Vec<Arc<str>>,
    not_before: Instant,
    pause: Duration,
}

impl OwedCounts {
    /// A channel was counted without these nodes.
    pub(super) fn note(&self, channel: ChannelChanged, missed: Vec<Arc<str>>, now: Instant) {
        let mut owed = self.0.lock();
        if missed.is_empty() {
            owed.remove(&channel);
        } else if let Some(owed) = owed.get_mut(&channel) {
            owed.missed = missed;
        } else if owed.len() < MAX {
            let new = Owed {
                missed,
                not_before: now,
                pause: FIRST_PAUSE,
            };
            owed.insert(channel, new);
        }
    }

    /// The channels to count now.
    pub(super) fn due(&self, nodes: &Answering, now: Instant) -> Vec<ChannelChanged> {
        let mut due = Vec::new();
        self.0.lock().retain(|channel, owed| {
            owed.missed.retain(|node| nodes.contains_key(node));
            let is_time = now >= owed.not_before;
            if is_time && owed.missed.iter().any(|node| nodes[node]) {
                due.push(channel.clone());
                owed.missed.clear();
                owed.not_before = now + owed.pause;
                owed.pause = LONGEST_PAUSE.min(owed.pause * 2);
                return true;
            }
            !owed.missed.is_empty() || !is_time
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str) -> ChannelChanged {
        ChannelChanged {
            app: "3".into(),
            channel: name.into(),
        }
    }

    fn nodes(nodes: &[(&str, bool)]) -> Answering {
        let nodes = nodes
            .iter()
            .map(|(node, answers)| (Arc::from(*node), *answers));
        nodes.collect()
    }

    #[test]
    fn a_channel_is_due_once_a_node_that_was_missed_answers() {
        let (owed, now) = (OwedCounts::default(), Instant::now());
        owed.note(channel("both"), vec!["a:1".into(), "b:1".into()], now);
        owed.note(channel("one"), vec!["a:1".into()], now);
        assert_eq!(owed.due(&nodes(&[("a:1", false), ("b:1", false)]), now), []);
        let only_b = nodes(&[("a:1", false), ("b:1", true)]);
        assert_eq!(owed.due(&only_b, now), [channel("both")]);
        let only_a = nodes(&[("a:1", true), ("b:1", false)]);
        assert_eq!(owed.due(&only_a, now), [channel("one")]);
        // Both counts were whole, as far as is known here.
        let all = nodes(&[("a:1", true), ("b:1", true)]);
        assert_eq!(owed.due(&all, now + FIRST_PAUSE), []);
        assert!(owed.0.lock().is_empty());
    }

    #[test]
    fn nothing_is_owed_after_a_whole_count_or_for_a_node_that_is_gone() {
        let (owed, now) = (OwedCounts::default(), Instant::now());
        for name in ["whole", "gone"] {
            owed.note(channel(name), vec!["a:1".into()], now);
        }
        owed.note(channel("whole"), Vec::new(), now);
        assert_eq!(owed.due(&nodes(&[("b:1", true)]), now), []);
        assert!(owed.0.lock().is_empty());
    }

    #[test]
    fn a_node_that_is_missed_again_and_again_is_counted_less_and_less_often() {
        let (owed, start) = (OwedCounts::default(), Instant::now());
        let up = nodes(&[("a:1", true)]);
        owed.note(channel("a"), vec!["a:1".into()], start);
        let mut repeated = Vec::new();
        for second in 0..300 {
            let now = start + Duration::from_secs(second);
            if owed.due(&up, now) == [channel("a")] {
                repeated.push(second);
                owed.note(channel("a"), vec!["a:1".into()], now);
            }
        }
        assert_eq!(repeated, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let (owed, now) = (OwedCounts::default(), Instant::now());
        for number in 0..=MAX {
            owed.note(channel(&number.to_string()), vec!["a:1".into()], now);
        }
        assert_eq!(owed.due(&nodes(&[("a:1", true)]), now).len(), MAX);
    }
}
