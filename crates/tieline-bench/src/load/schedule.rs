//! The schedule of an open loop.
//!
//! Owns when each message is due. Must not send anything or read the clock. Invariant: the due times
//! depend only on start and rate, so a delay moves no later message.

use crate::clock::SECOND;

/// Messages at equal intervals, sent by all senders in turn.
#[derive(Debug)]
pub(super) struct Schedule {
    begin: u64,
    /// Nanoseconds from one message to the next.
    interval: f64,
    /// How many messages have been taken.
    taken: u64,
}

impl Schedule {
    #[allow(clippy::cast_precision_loss, reason = "a second is exact")]
    pub(super) fn new(begin: u64, per_second: f64) -> Self {
        Self {
            begin,
            interval: SECOND as f64 / per_second,
            taken: 0,
        }
    }

    /// The scheduled time of the next message.
    pub(super) fn next(&self) -> u64 {
        self.time(0)
    }

    /// The scheduled time of the message `ahead` after the next one.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "2^52 ns are 52 days"
    )]
    pub(super) fn time(&self, ahead: u64) -> u64 {
        let number = self.taken + ahead;
        let offset = (number as f64 * self.interval) as u64;
        self.begin.saturating_add(offset)
    }

    /// How many messages are due at `now`, at most `max`.
    pub(super) fn due(&self, now: u64, max: u64) -> u64 {
        let (mut due, mut beyond) = (0, max);
        while due < beyond {
            let middle = due.midpoint(beyond);
            if self.time(middle) <= now {
                due = middle + 1;
            } else {
                beyond = middle;
            }
        }
        due
    }

    /// Takes this many messages.
    pub(super) fn take(&mut self, count: u64) {
        self.taken += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_at_equal_intervals() {
        let mut schedule = Schedule::new(SECOND, 4.0);
        let mut times = Vec::new();
        for _ in 0..5 {
            times.push(schedule.next());
            schedule.take(1);
        }
        let quarter = SECOND / 4;
        assert_eq!(times, [4, 5, 6, 7, 8].map(|quarters| quarters * quarter));
    }

    #[test]
    fn due_messages_are_counted() {
        let mut schedule = Schedule::new(SECOND, 4.0);
        assert_eq!(schedule.due(SECOND - 1, 100), 0);
        assert_eq!(schedule.due(SECOND, 100), 1);
        assert_eq!(schedule.due(SECOND * 2, 100), 5);
        assert_eq!(schedule.due(SECOND * 2, 3), 3);
        schedule.take(3);
        assert_eq!(schedule.due(SECOND * 2, 100), 2);
    }
}
