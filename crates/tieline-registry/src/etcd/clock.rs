//! The cluster's clock.
//!
//! etcd has no clock, so this is the machine's wall clock, read once at the start, or the latest stamp of any
//! other node. Invariants: it never goes back; a step of the wall clock has no effect until the next start.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use crate::types::Stamp;

#[derive(Debug)]
pub(super) struct ClusterClock {
    start: Instant,
    /// Microseconds since 1970, at `start`.
    wall: u64,
    /// The latest stamp or clock of any node.
    latest: AtomicU64,
}

impl ClusterClock {
    pub(super) fn start() -> Self {
        // Before nodes have seen each other's stamps, they have no other common clock. NTP keeps it within
        // milliseconds.
        let wall = clock_gettime(ClockId::Realtime);
        Self {
            start: Instant::now(),
            wall: Duration::try_from(wall).map_or(0, micros),
            latest: AtomicU64::new(0),
        }
    }

    pub(super) fn now(&self) -> Stamp {
        let wall = self.wall + micros(self.start.elapsed());
        Stamp(wall.max(self.latest.load(Relaxed)))
    }

    /// Advances the clock to this stamp, if it is later.
    pub(super) fn observe(&self, stamp: Stamp) {
        self.latest.fetch_max(stamp.0, Relaxed);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_follows_the_latest_stamp() {
        let clock = ClusterClock::start();
        let first = clock.now();
        assert!(first.0 > 1_700_000_000_000_000);
        let ahead = Stamp(first.0 + 3_600_000_000);
        clock.observe(ahead);
        clock.observe(first);
        assert!(clock.now() >= ahead);
    }
}
