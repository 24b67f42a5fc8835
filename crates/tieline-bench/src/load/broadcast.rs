//! One sends, and all receive it.
//!
//! A broadcast is over when every receiver of this process has it or something later: messages keep
//! their order on the way to one receiver, so what was passed over does not come any more. With
//! several processes the first one's receivers set the pace.

use std::collections::VecDeque;

use super::workload::{Arrival, Ended, Rule};
use crate::stamp::Stamp;

/// Broadcasts under way.
#[derive(Debug)]
pub(super) struct Broadcast {
    /// The sender is one of this process.
    sends: bool,
    sender: usize,
    /// What each receiver waits for; none is one that has ended.
    next: Vec<Option<u32>>,
    alive: usize,
    /// How many receivers each broadcast still has to reach, from number `base` on.
    under_way: VecDeque<usize>,
    base: u32,
}

impl Broadcast {
    /// Broadcasts to so many receivers.
    pub(super) fn new(receivers: usize, sends: bool) -> Self {
        Self {
            sends,
            sender: 0,
            next: vec![Some(0); receivers],
            alive: receivers,
            under_way: VecDeque::new(),
            base: 0,
        }
    }

    /// The number that the next broadcast has.
    fn issued(&self) -> u32 {
        self.base + u32::try_from(self.under_way.len()).unwrap_or(u32::MAX)
    }

    /// A receiver needs none of these any more; says how many are over.
    fn pass(&mut self, from: u32, to: u32) -> u32 {
        for number in from.max(self.base)..to {
            if let Some(missing) = self.under_way.get_mut((number - self.base) as usize) {
                *missing -= 1;
            }
        }
        let mut over = 0;
        while self.under_way.front() == Some(&0) {
            self.under_way.pop_front();
            self.base += 1;
            over += 1;
        }
        over
    }
}

impl Rule for Broadcast {
    fn senders(&self) -> Vec<usize> {
        let first = self.next.iter().position(Option::is_some);
        first.filter(|_| self.sends).into_iter().collect()
    }

    fn sender_for(&self, _: usize) -> usize {
        self.sender
    }

    fn left(&mut self, _: usize, _: u32) -> u64 {
        self.under_way.push_back(self.alive);
        self.alive as u64
    }

    #[inline]
    fn arrived(&mut self, at: usize, stamp: Stamp) -> Arrival {
        let number = stamp.sequence;
        let Some(next) = self.next[at] else {
            return Arrival::Ignored;
        };
        if self.sends && number >= self.issued() {
            return Arrival::Ignored;
        }
        if number < next {
            return Arrival::Taken(0);
        }
        self.next[at] = Some(number + 1);
        Arrival::Taken(if self.sends {
            self.pass(next, number + 1)
        } else {
            0
        })
    }

    fn ended(&mut self, at: usize) -> Ended {
        let Some(next) = self.next[at].take() else {
            return Ended::default();
        };
        self.alive -= 1;
        let over = self.pass(next, self.issued());
        if !self.sends || at != self.sender {
            return Ended {
                over,
                ..Ended::default()
            };
        }
        // What the former sender had under way may never have reached the server.
        self.base = self.issued();
        self.under_way.clear();
        let successor = self.next.iter().position(Option::is_some);
        self.sender = successor.unwrap_or(at);
        Ended {
            retired: Some(at),
            successor,
            over: 0,
        }
    }

    fn awaited(&self, issued: u64) -> u64 {
        if self.sends {
            return 0;
        }
        let missing = |next: &u32| issued.saturating_sub(u64::from(*next));
        self.next.iter().flatten().map(missing).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(sequence: u32) -> Stamp {
        Stamp {
            time: 0,
            sequence,
            from: 0,
        }
    }

    fn broadcasts(receivers: usize, under_way: u32) -> Broadcast {
        let mut broadcast = Broadcast::new(receivers, true);
        (0..under_way).for_each(|number| {
            broadcast.left(0, number);
        });
        broadcast
    }

    #[test]
    fn it_is_over_when_all_have_it() {
        let mut broadcast = broadcasts(2, 2);
        assert_eq!(broadcast.arrived(0, stamp(0)), Arrival::Taken(0));
        assert_eq!(broadcast.arrived(0, stamp(1)), Arrival::Taken(0));
        assert_eq!(broadcast.arrived(1, stamp(0)), Arrival::Taken(1));
        assert_eq!(broadcast.arrived(1, stamp(1)), Arrival::Taken(1));
    }

    #[test]
    fn one_that_was_passed_over_is_not_waited_for() {
        let mut broadcast = broadcasts(2, 2);
        broadcast.arrived(0, stamp(0));
        broadcast.arrived(0, stamp(1));
        assert_eq!(broadcast.arrived(1, stamp(1)), Arrival::Taken(2));
    }

    #[test]
    fn what_was_never_sent_is_none_of_it() {
        let mut broadcast = broadcasts(1, 1);
        assert_eq!(broadcast.arrived(0, stamp(7)), Arrival::Ignored);
        assert_eq!(broadcast.arrived(0, stamp(0)), Arrival::Taken(1));
    }

    #[test]
    fn who_ends_is_not_waited_for() {
        let mut broadcast = broadcasts(2, 2);
        broadcast.arrived(0, stamp(0));
        let ended = broadcast.ended(1);
        assert_eq!(
            ended,
            Ended {
                over: 1,
                ..Ended::default()
            }
        );
        assert_eq!(broadcast.ended(1), Ended::default());
    }

    #[test]
    fn the_sender_is_succeeded() {
        let mut broadcast = broadcasts(2, 1);
        let ended = broadcast.ended(0);
        let expected = Ended {
            retired: Some(0),
            successor: Some(1),
            over: 0,
        };
        assert_eq!(ended, expected);
        assert_eq!(broadcast.sender_for(1), 1);
    }
}
