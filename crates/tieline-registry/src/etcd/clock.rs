//! The cluster's clock, as far as one registry can know it.
//!
//! etcd tells no time, so this is the wall clock, read once, and the latest that anyone else has
//! shown: it never goes back, and a step of the wall clock has no effect until the next start.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use crate::types::Stamp;

#[derive(Debug)]
pub(super) struct Clock {
    since: Instant,
    /// Microseconds since 1970, at `since`.
    wall: u64,
    /// The latest stamp or clock that anyone has shown.
    seen: AtomicU64,
}

impl Clock {
    pub(super) fn start() -> Self {
        // The nodes of a cluster have no other clock in common before they have met; NTP keeps it
        // within milliseconds.
        let wall = clock_gettime(ClockId::Realtime);
        Self {
            since: Instant::now(),
            wall: Duration::try_from(wall).map_or(0, micros),
            seen: AtomicU64::new(0),
        }
    }

    pub(super) fn now(&self) -> Stamp {
        let wall = self.wall + micros(self.since.elapsed());
        Stamp(wall.max(self.seen.load(Relaxed)))
    }

    /// Not earlier than this from now on.
    pub(super) fn observe(&self, stamp: Stamp) {
        self.seen.fetch_max(stamp.0, Relaxed);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_follows_the_latest_that_it_has_seen() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(first.0 > 1_700_000_000_000_000);
        let ahead = Stamp(first.0 + 3_600_000_000);
        clock.observe(ahead);
        clock.observe(first);
        assert!(clock.now() >= ahead);
    }
}
