//! Channels whose last count missed a node that did not answer.
//!
//! Owns when to count them again: once such a node answers, and less often while it is missed again. Must not know how
//! a channel is counted. Invariants: however many channels strangers make up, at most [`MAX`] are kept; a node that is
//! gone is not waited for.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::counting_node::ChannelChanged;

/// Some 20 MB of names, and 16 bytes more for each node that one of them missed. Beyond that, a channel is counted
/// again only when it next changes.
const MAX: usize = 100_000;

/// Between two repeated counts of a channel; twice as long after each that has missed a node again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// For how long after the pause the repeated count may begin and end; later, it would be taken for a first one.
const GRACE: Duration = Duration::from_secs(10);

/// The other nodes by address, and whether each answers.
pub(super) type Answering = BTreeMap<Arc<str>, bool>;

/// The channels for which a count is owed.
#[derive(Debug, Default)]
pub(super) struct OwedCounts(Mutex<HashMap<ChannelChanged, Owed>>);

#[derive(Debug)]
struct Owed {
    /// Empty from the start of the repeated count until it misses a node again.
    missed: Vec<Arc<str>>,
    /// The node that should have counted, and may tell an older number yet.
    replaced: Option<Arc<str>>,
    not_before: Instant,
    pause: Duration,
}

impl OwedCounts {
    /// A channel was counted without these nodes.
    pub(super) fn note(&self, channel: ChannelChanged, missed: Vec<Arc<str>>, now: Instant) {
        let mut owed = self.0.lock();
        if !missed.is_empty() {
            if let Some(owed) = owe(&mut owed, channel, now) {
                owed.missed = missed;
            }
        } else if let Some(paid) = owed.get_mut(&channel) {
            paid.missed.clear();
            if paid.replaced.is_none() {
                owed.remove(&channel);
            }
        }
    }

    /// A channel is counted in place of this node.
    pub(super) fn note_substitution(&self, channel: ChannelChanged, node: Arc<str>, now: Instant) {
        if let Some(owed) = owe(&mut self.0.lock(), channel, now) {
            owed.replaced = Some(node);
        }
    }

    /// The channels to count now, so many at most.
    pub(super) fn due(&self, nodes: &Answering, most: usize, now: Instant) -> Vec<ChannelChanged> {
        let mut due = Vec::new();
        self.0.lock().retain(|channel, owed| {
            owed.missed.retain(|node| nodes.contains_key(node));
            owed.replaced.take_if(|node| !nodes.contains_key(node));
            let answers = owed.nodes().any(|node| nodes[node]);
            if answers && now >= owed.not_before && due.len() < most {
                due.push(channel.clone());
                owed.missed.clear();
                owed.replaced = None;
                owed.not_before = now + owed.pause;
                owed.pause = LONGEST_PAUSE.min(owed.pause * 2);
            }
            owed.nodes().next().is_some() || now < owed.not_before + GRACE
        });
        due
    }
}

/// What is owed for a channel; `None` if there are too many.
fn owe(
    all: &mut HashMap<ChannelChanged, Owed>,
    channel: ChannelChanged,
    now: Instant,
) -> Option<&mut Owed> {
    let is_full = all.len() >= MAX;
    match all.entry(channel) {
        Entry::Occupied(owed) => Some(owed.into_mut()),
        Entry::Vacant(_) if is_full => None,
        Entry::Vacant(place) => Some(place.insert(Owed {
            missed: Vec::new(),
            replaced: None,
            not_before: now,
            pause: FIRST_PAUSE,
        })),
    }
}

impl Owed {
    fn nodes(&self) -> impl Iterator<Item = &Arc<str>> {
        self.missed.iter().chain(&self.replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str) -> ChannelChanged {
        ChannelChanged::new("3", name)
    }

    fn nodes(nodes: &[(&str, bool)]) -> Answering {
        let nodes = nodes
            .iter()
            .map(|(node, answers)| (Arc::from(*node), *answers));
        nodes.collect()
    }

    fn due(owed: &OwedCounts, all: &[(&str, bool)], now: Instant) -> Vec<ChannelChanged> {
        owed.due(&nodes(all), MAX, now)
    }

    #[test]
    fn a_channel_is_due_once_a_node_that_was_missed_answers() {
        let (owed, now) = (OwedCounts::default(), Instant::now());
        owed.note(channel("both"), vec!["a:1".into(), "b:1".into()], now);
        owed.note(channel("one"), vec!["a:1".into()], now);
        assert_eq!(due(&owed, &[("a:1", false), ("b:1", false)], now), []);
        let both = [channel("both")];
        assert_eq!(due(&owed, &[("a:1", false), ("b:1", true)], now), both);
        let one = [channel("one")];
        assert_eq!(due(&owed, &[("a:1", true), ("b:1", false)], now), one);
        // Both counts were whole, as far as is known here.
        let later = now + FIRST_PAUSE + GRACE;
        assert_eq!(due(&owed, &[("a:1", true), ("b:1", true)], later), []);
        assert!(owed.0.lock().is_empty());
    }

    #[test]
    fn nothing_is_owed_after_a_whole_count_or_for_a_node_that_is_gone() {
        let (owed, now) = (OwedCounts::default(), Instant::now());
        for name in ["whole", "gone"] {
            owed.note(channel(name), vec!["a:1".into()], now);
        }
        owed.note_substitution(channel("gone"), "c:1".into(), now);
        owed.note(channel("whole"), Vec::new(), now);
        assert_eq!(due(&owed, &[("a:1", false), ("c:1", false)], now), []);
        assert_eq!(due(&owed, &[("b:1", true)], now + GRACE), []);
        assert!(owed.0.lock().is_empty());
    }

    #[test]
    fn what_was_counted_in_place_of_a_node_is_owed_also_if_it_was_whole() {
        let (owed, now) = (OwedCounts::default(), Instant::now());
        owed.note_substitution(channel("a"), "a:1".into(), now);
        owed.note(channel("a"), Vec::new(), now);
        assert_eq!(due(&owed, &[("a:1", false)], now), []);
        assert_eq!(due(&owed, &[("a:1", true)], now), [channel("a")]);
        assert_eq!(due(&owed, &[("a:1", true)], now + FIRST_PAUSE), []);
    }

    #[test]
    fn a_node_that_is_missed_again_and_again_is_counted_less_and_less_often() {
        let (owed, start) = (OwedCounts::default(), Instant::now());
        let (mut repeated, mut ends) = (Vec::new(), 0);
        for second in 0..300 {
            let now = start + Duration::from_secs(second);
            if second == ends {
                owed.note(channel("a"), vec!["a:1".into()], now);
            }
            if due(&owed, &[("a:1", true)], now) == [channel("a")] {
                repeated.push(second);
                // A count may take that long.
                ends = second + 7;
            }
        }
        assert_eq!(repeated, [0, 7, 14, 21, 29, 45, 77, 137, 197, 257]);
    }

    #[test]
    fn no_more_are_kept_than_may_be_nor_taken_at_once() {
        let (owed, now) = (OwedCounts::default(), Instant::now());
        for number in 0..=MAX {
            owed.note(channel(&number.to_string()), vec!["a:1".into()], now);
        }
        let up = nodes(&[("a:1", true)]);
        assert_eq!(owed.due(&up, 1000, now).len(), 1000);
        assert_eq!(owed.due(&up, MAX, now).len(), MAX - 1000);
    }
}
