//! The cluster's clock as this process estimates it, for the deadlines of scripts.
//!
//! Owns the offset between this process's clock and the registry's. Invariants: the estimate never goes back,
//! and apart from a step of the server's clock it is late by the way of the fastest reply at most. So a
//! deadline is never later than meant.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::scripts::Timing;
use crate::types::Stamp;

#[derive(Debug)]
pub(super) struct ServerClock {
    start: Instant,
    /// The cluster's clock at `start`, in µs; zero while nothing is known.
    at_start: Mutex<u64>,
}

impl ServerClock {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            at_start: Mutex::new(0),
        }
    }

    /// A reply that has just arrived shows this time.
    pub(super) fn observe(&self, time: Stamp) {
        self.observe_after(self.start.elapsed(), time);
    }

    /// What a script is told that must do nothing after this long.
    pub(super) fn timing(&self, left: Duration) -> Timing {
        self.timing_after(self.start.elapsed(), left)
    }

    fn observe_after(&self, elapsed: Duration, time: Stamp) {
        let mut at_start = self.at_start.lock();
        *at_start = time.0.saturating_sub(micros(elapsed)).max(*at_start);
    }

    fn timing_after(&self, elapsed: Duration, left: Duration) -> Timing {
        let at_start = *self.at_start.lock();
        if at_start == 0 {
            return Timing::default();
        }
        let now = at_start.saturating_add(micros(elapsed));
        Timing {
            now,
            deadline: now.saturating_add(micros(left)),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_the_fastest_reply_and_never_goes_back() {
        let clock = ServerClock::new();
        let second = Duration::from_secs(1);
        assert_eq!(clock.timing_after(second, second), Timing::default());
        clock.observe_after(Duration::ZERO, Stamp(5_000_000));
        // This reply took longer.
        clock.observe_after(second, Stamp(5_900_000));
        let expected = Timing {
            now: 6_000_000,
            deadline: 7_000_000,
        };
        assert_eq!(clock.timing_after(second, second), expected);
        clock.observe_after(second, Stamp(9_000_000));
        assert_eq!(clock.timing_after(second, second).now, 9_000_000);
    }
}
