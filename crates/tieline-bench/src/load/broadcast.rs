//! One connection sends, and all receive.
//!
//! A broadcast is complete when every receiver of this process has received it or a later one: messages
//! to one receiver keep their order, so a skipped one will not arrive. With several processes, only the
//! receivers in the sender's process set the pace.

use std::collections::VecDeque;

use super::workload::{Arrival, Completed, Disconnected, Workload};
use crate::stamp::Stamp;

/// The broadcasts in flight.
#[derive(Debug)]
pub(super) struct Broadcast {
    /// How many connections, the first ones, may send: one at a time, and the next when it has ended. 0 if
    /// the sender is in another process.
    candidates: usize,
    sender: usize,
    /// The next number of each receiver; `None` if it has ended.
    next: Vec<Option<u32>>,
    alive: usize,
    /// The sender is among the receivers.
    own_copies: bool,
    /// How many receivers each broadcast has yet to reach, from number `base` on.
    in_flight: VecDeque<usize>,
    base: u32,
}

impl Broadcast {
    /// Broadcasts to this many receivers, of which the first `candidates` may send.
    pub(super) fn new(receivers: usize, candidates: usize) -> Self {
        Self {
            candidates,
            sender: 0,
            next: vec![Some(0); receivers],
            alive: receivers,
            own_copies: true,
            in_flight: VecDeque::new(),
            base: 0,
        }
    }

    /// The same, if the sender gets no copy.
    pub(super) fn with_own_copies(self, own_copies: bool) -> Self {
        Self { own_copies, ..self }
    }

    fn sends(&self) -> bool {
        self.candidates > 0
    }

    /// The first candidate that is open.
    fn candidate(&self) -> Option<usize> {
        let candidates = &self.next[..self.candidates];
        candidates.iter().position(Option::is_some)
    }

    fn completed(&self, count: u32) -> Completed {
        Completed {
            sender: self.sender,
            count,
        }
    }

    /// The number of the next broadcast.
    fn issued(&self) -> u32 {
        self.base + u32::try_from(self.in_flight.len()).unwrap_or(u32::MAX)
    }

    /// A receiver moves on from one number to another; yields how many broadcasts complete.
    fn advance(&mut self, from: u32, to: u32) -> u32 {
        for number in from.max(self.base)..to {
            if let Some(missing) = self.in_flight.get_mut((number - self.base) as usize) {
                *missing -= 1;
            }
        }
        let mut completed = 0;
        while self.in_flight.front() == Some(&0) {
            self.in_flight.pop_front();
            self.base += 1;
            completed += 1;
        }
        completed
    }
}

impl Workload for Broadcast {
    fn senders(&self) -> Vec<usize> {
        self.candidate().into_iter().collect()
    }

    fn on_sent(&mut self, _: usize, _: u32) -> u64 {
        let mut receivers = self.alive;
        if !self.own_copies {
            receivers -= 1;
            self.next[self.sender] = Some(self.issued() + 1);
        }
        self.in_flight.push_back(receivers);
        receivers as u64
    }

    #[inline]
    fn on_arrival(&mut self, at: usize, stamp: Stamp) -> Arrival {
        let number = stamp.sequence;
        let Some(next) = self.next[at] else {
            return Arrival::Ignored;
        };
        if self.sends() && number >= self.issued() {
            return Arrival::Ignored;
        }
        if number < next {
            return Arrival::Accepted(Completed::default());
        }
        self.next[at] = Some(number + 1);
        if !self.sends() {
            return Arrival::Accepted(Completed::default());
        }
        let count = self.advance(next, number + 1);
        Arrival::Accepted(self.completed(count))
    }

    fn on_end(&mut self, at: usize) -> Disconnected {
        let Some(next) = self.next[at].take() else {
            return Disconnected::default();
        };
        self.alive -= 1;
        let completed = self.advance(next, self.issued());
        let completed = self.completed(completed);
        if !self.sends() || at != self.sender {
            return Disconnected {
                completed,
                ..Disconnected::default()
            };
        }
        // The broadcasts of the former sender may never have reached the server.
        self.base = self.issued();
        self.in_flight.clear();
        let successor = self.candidate();
        self.sender = successor.unwrap_or(at);
        Disconnected {
            retired: Some(at),
            successor,
            completed: Completed::default(),
        }
    }

    fn outstanding(&self, issued: u64) -> u64 {
        if self.sends() {
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

    fn accepted(count: u32) -> Arrival {
        Arrival::Accepted(Completed { sender: 0, count })
    }

    fn broadcasts(receivers: usize, in_flight: u32) -> Broadcast {
        let mut broadcast = Broadcast::new(receivers, receivers);
        (0..in_flight).for_each(|number| {
            broadcast.on_sent(0, number);
        });
        broadcast
    }

    #[test]
    fn a_broadcast_completes_when_all_have_received_it() {
        let mut broadcast = broadcasts(2, 2);
        assert_eq!(broadcast.on_arrival(0, stamp(0)), accepted(0));
        assert_eq!(broadcast.on_arrival(0, stamp(1)), accepted(0));
        assert_eq!(broadcast.on_arrival(1, stamp(0)), accepted(1));
        assert_eq!(broadcast.on_arrival(1, stamp(1)), accepted(1));
    }

    #[test]
    fn a_sender_without_copies_is_not_waited_for() {
        let mut broadcast = Broadcast::new(3, 3).with_own_copies(false);
        assert_eq!(broadcast.on_sent(0, 0), 2);
        assert_eq!(broadcast.on_arrival(1, stamp(0)), accepted(0));
        assert_eq!(broadcast.on_arrival(2, stamp(0)), accepted(1));
        broadcast.on_sent(0, 1);
        let ended = broadcast.on_end(0);
        assert_eq!((ended.retired, ended.successor), (Some(0), Some(1)));
        assert_eq!(broadcast.on_sent(1, 2), 1);
    }

    #[test]
    fn a_skipped_broadcast_is_not_waited_for() {
        let mut broadcast = broadcasts(2, 2);
        broadcast.on_arrival(0, stamp(0));
        broadcast.on_arrival(0, stamp(1));
        assert_eq!(broadcast.on_arrival(1, stamp(1)), accepted(2));
    }

    #[test]
    fn unknown_numbers_are_ignored() {
        let mut broadcast = broadcasts(1, 1);
        assert_eq!(broadcast.on_arrival(0, stamp(7)), Arrival::Ignored);
        assert_eq!(broadcast.on_arrival(0, stamp(0)), accepted(1));
    }

    #[test]
    fn an_ended_receiver_is_not_waited_for() {
        let mut broadcast = broadcasts(2, 2);
        broadcast.on_arrival(0, stamp(0));
        let ended = broadcast.on_end(1);
        assert_eq!(
            ended,
            Disconnected {
                completed: Completed {
                    sender: 0,
                    count: 1
                },
                ..Disconnected::default()
            }
        );
        assert_eq!(broadcast.on_end(1), Disconnected::default());
    }

    #[test]
    fn an_ended_sender_has_a_successor() {
        let mut broadcast = broadcasts(2, 1);
        let ended = broadcast.on_end(0);
        let expected = Disconnected {
            retired: Some(0),
            successor: Some(1),
            completed: Completed::default(),
        };
        assert_eq!(ended, expected);
        assert_eq!(broadcast.sender, 1);
    }
}
