//! The messages in flight, for scenarios with one receiver per message, so that a duplicate does not
//! trigger another message.
//!
//! Knows senders and sequence numbers only. Invariant: a message arrives at most once.

use std::collections::VecDeque;

/// The sequence numbers of the messages in flight, per sender, oldest first.
#[derive(Debug)]
pub(super) struct PendingMessages(Vec<VecDeque<u32>>);

impl PendingMessages {
    pub(super) fn new(connections: usize) -> Self {
        Self((0..connections).map(|_| VecDeque::new()).collect())
    }

    #[inline]
    pub(super) fn on_sent(&mut self, sender: usize, sequence: u32) {
        self.0[sender].push_back(sequence);
    }

    /// A message has arrived; yields whether it was in flight.
    #[inline]
    pub(super) fn on_arrival(&mut self, sender: usize, sequence: u32) -> bool {
        let messages = &mut self.0[sender];
        let Some(first) = messages.front().copied() else {
            return false;
        };
        if first == sequence {
            messages.pop_front();
            return true;
        }
        // Sequence numbers wrap at 2^32.
        let distance = |number: &u32| number.wrapping_sub(first);
        let found = messages.binary_search_by_key(&distance(&sequence), distance);
        found.is_ok_and(|at| messages.remove(at).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_arrives_once_and_in_any_order() {
        let mut pending = PendingMessages::new(2);
        for sequence in [u32::MAX - 1, u32::MAX, 0, 7] {
            pending.on_sent(1, sequence);
        }
        for sequence in [0, u32::MAX - 1, 7, u32::MAX] {
            assert!(!pending.on_arrival(0, sequence));
            assert!(pending.on_arrival(1, sequence));
            assert!(!pending.on_arrival(1, sequence));
        }
    }
}
