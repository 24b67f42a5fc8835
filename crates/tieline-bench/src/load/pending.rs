//! Which messages of each sender are under way, where one receiver gets each: so that a second answer
//! to a message calls for no other.

use std::collections::VecDeque;

/// The numbers of messages under way, for each connection, the oldest first.
#[derive(Debug)]
pub(super) struct UnderWay(Vec<VecDeque<u32>>);

impl UnderWay {
    pub(super) fn new(connections: usize) -> Self {
        Self((0..connections).map(|_| VecDeque::new()).collect())
    }

    #[inline]
    pub(super) fn left(&mut self, sender: usize, sequence: u32) {
        self.0[sender].push_back(sequence);
    }

    /// A message has arrived; says whether it was under way.
    #[inline]
    pub(super) fn arrived(&mut self, sender: usize, sequence: u32) -> bool {
        let messages = &mut self.0[sender];
        let Some(first) = messages.front().copied() else {
            return false;
        };
        if first == sequence {
            messages.pop_front();
            return true;
        }
        // Numbers begin anew after 2^32.
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
        let mut under_way = UnderWay::new(2);
        for sequence in [u32::MAX - 1, u32::MAX, 0, 7] {
            under_way.left(1, sequence);
        }
        for sequence in [0, u32::MAX - 1, 7, u32::MAX] {
            assert!(!under_way.arrived(0, sequence));
            assert!(under_way.arrived(1, sequence));
            assert!(!under_way.arrived(1, sequence));
        }
    }
}
