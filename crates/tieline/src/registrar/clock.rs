//! The cluster's clock as this node knows it, and the stamps that it gives.
//!
//! Owns the offset between this machine's clock and the registry's. Invariants: the offset never
//! decreases; stamps strictly increase; [`ClusterClock::now`] is never below a stamp that was given.

use parking_lot::Mutex;
use rustix::time::{ClockId, Timespec, clock_gettime};
use tieline_registry::Stamp;
use tokio::time::Instant;

/// No registry stores later stamps: 2^53 µs, in the year 2255.
const LATEST: u64 = 1 << 53;

#[derive(Debug, Default)]
pub(crate) struct ClusterClock(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Cluster clock minus local clock, in microseconds.
    offset: i64,
    /// The last stamp that was given.
    last_stamp: u64,
}

/// A moment of this machine's clock, in microseconds. The clock continues while the machine sleeps, so
/// that a laptop that was closed does not wake up with stamps of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LocalInstant(u64);

impl LocalInstant {
    pub(crate) fn now() -> Self {
        #[cfg(target_os = "linux")]
        let clock = ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let clock = ClockId::Monotonic;
        let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
        let micros = tv_sec * 1_000_000 + tv_nsec / 1000;
        Self(micros.unsigned_abs())
    }

    /// Converts a moment of tokio's clock.
    pub(crate) fn of(moment: Instant) -> Self {
        let ago = u64::try_from(moment.elapsed().as_micros()).unwrap_or(u64::MAX);
        Self(Self::now().0.saturating_sub(ago))
    }
}

impl ClusterClock {
    /// The clock of the registry or of a peer showed `cluster` when this node's showed `received` or less:
    /// the offset is at least their difference. The fastest message gives the best estimate.
    pub(crate) fn observe(&self, cluster: Stamp, received: LocalInstant) {
        let mut state = self.0.lock();
        let offset = cluster
            .0
            .cast_signed()
            .saturating_sub(received.0.cast_signed());
        if (1..LATEST).contains(&cluster.0) {
            state.offset = state.offset.max(offset);
        }
    }

    /// The cluster's time, in microseconds.
    pub(crate) fn now(&self) -> Stamp {
        let state = self.0.lock();
        Stamp(at(&state, LocalInstant::now()).max(state.last_stamp))
    }

    /// The stamp of a connection that arrived at this moment.
    pub(crate) fn stamp(&self, arrival: LocalInstant) -> Stamp {
        let mut state = self.0.lock();
        state.last_stamp = at(&state, arrival).max(state.last_stamp + 1);
        Stamp(state.last_stamp)
    }
}

fn at(state: &State, local: LocalInstant) -> u64 {
    local.0.saturating_add_signed(state.offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_increase_and_now_is_never_below_them() {
        let clock = ClusterClock::default();
        let arrival = LocalInstant::now();
        let first = clock.stamp(arrival);
        assert!(clock.stamp(arrival) > first);
        assert!(clock.now() >= first);
    }

    #[test]
    fn the_offset_never_decreases() {
        let clock = ClusterClock::default();
        clock.observe(Stamp(9_000_000_000_000), LocalInstant(1_000));
        let ahead = clock.now();
        clock.observe(Stamp(5_000), LocalInstant(2_000));
        assert!(clock.now() >= ahead);
    }

    #[test]
    fn an_earlier_arrival_has_an_earlier_stamp_than_the_present() {
        let clock = ClusterClock::default();
        clock.observe(Stamp(9_000_000_000_000), LocalInstant::now());
        let arrival = LocalInstant(LocalInstant::now().0 - 5_000_000);
        assert!(clock.stamp(arrival) < clock.now());
    }
}
