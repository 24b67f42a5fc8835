//! Channels whose last count has missed a node, which did not answer.
//!
//! Owns when to count them again: once one of those nodes answers again or is gone. Must not know how a channel is
//! counted. Invariant: however many channels strangers make up, at most [`MAX`] are kept.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::counting_node::ChannelChanged;

/// Some 20 MB of names. What comes while there are so many is counted with its next change.
const MAX: usize = 100_000;

/// The channels, each with the nodes that were missed.
#[derive(Debug, Default)]
pub(super) struct OwedCounts(Mutex<HashMap<ChannelChanged, Vec<Arc<str>>>>);

impl OwedCounts {
    /// A channel was counted without these nodes.
    pub(super) fn note(&self, channel: ChannelChanged, missed: Vec<Arc<str>>) {
        let mut owed = self.0.lock();
        if missed.is_empty() {
            owed.remove(&channel);
        } else if owed.len() < MAX || owed.contains_key(&channel) {
            owed.insert(channel, missed);
        }
    }

    /// Takes the channels for which it is time, while these nodes do not answer.
    pub(super) fn take(&self, down: &[Arc<str>]) -> Vec<ChannelChanged> {
        let mut owed = self.0.lock();
        let due = owed.extract_if(|_, missed| missed.iter().any(|node| !down.contains(node)));
        due.map(|(channel, _)| channel).collect()
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

    #[test]
    fn a_channel_is_due_once_a_node_that_was_missed_is_not_down_any_more() {
        let [one, other] = [Arc::from("a:1"), Arc::from("b:1")];
        let owed = OwedCounts::default();
        let both = vec![Arc::clone(&one), Arc::clone(&other)];
        owed.note(channel("both"), both.clone());
        owed.note(channel("one"), vec![Arc::clone(&one)]);
        assert_eq!(owed.take(&both), []);
        assert_eq!(owed.take(&[one]), [channel("both")]);
        assert_eq!(owed.take(&[other]), [channel("one")]);
        assert_eq!(owed.take(&[]), []);
    }

    #[test]
    fn a_whole_count_is_owed_no_more() {
        let owed = OwedCounts::default();
        owed.note(channel("a"), vec!["a:1".into()]);
        owed.note(channel("a"), Vec::new());
        assert_eq!(owed.take(&[]), []);
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let owed = OwedCounts::default();
        for number in 0..=MAX {
            owed.note(channel(&number.to_string()), vec!["a:1".into()]);
        }
        assert_eq!(owed.take(&[]).len(), MAX);
    }
}
