//! What all connections of a hub share: the configuration, the clock, the ping frame, the budget, the
//! ticks, the dialects, the names that many have, and the list of the application's tasks.
//!
//! Owns the coarse clock. Knows no connection.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tieline_websocket::{AnyFrame, Limits};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{
    counters::Counters, dialect::Dialects, outbox::OutboxRules, shared_name::RecentNames,
    tick::Ticks,
};
use crate::config::Config;

pub(crate) struct HubContext {
    pub(crate) config: Config,
    pub(crate) limits: Limits,
    pub(crate) clock: CoarseClock,
    pub(crate) ping: AnyFrame,
    pub(super) rules: OutboxRules,
    pub(super) ticks: Ticks,
    pub(crate) dialects: Dialects,
    pub(super) names: RecentNames,
    /// What the application has spawned on connections.
    pub(super) tasks: TaskTracker,
}

impl HubContext {
    pub(super) fn new(config: Config, dialects: Dialects) -> Self {
        let limits = config.limits();
        let rules = OutboxRules::new(&config);
        let (clock, ping) = (CoarseClock::new(), AnyFrame::ping(b""));
        Self {
            config,
            limits,
            clock,
            ping,
            rules,
            ticks: Ticks::new(),
            dialects,
            names: RecentNames::new(),
            tasks: TaskTracker::new(),
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.rules.counters
    }
}

/// A coarse monotonic clock: milliseconds since the hub started, set by the keepalive, read for the price of
/// a load. It wraps after 49 days, so only differences are meaningful. Time in which the process was
/// suspended, and nobody could have been read, does not count.
#[derive(Debug)]
pub(crate) struct CoarseClock {
    /// By the runtime's clock, as the ticks are: in a test with paused time, silence passes with them.
    start: Instant,
    /// The time of the last tick by the system's clock, in milliseconds.
    ticked: Mutex<u64>,
    now: AtomicU32,
}

impl CoarseClock {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            ticked: Mutex::new(0),
            now: AtomicU32::new(0),
        }
    }

    /// The time of the last tick.
    pub(crate) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    /// Sets the clock, and returns the time. It goes forward by `most` at most: what is missing of a later
    /// tick is a pause of the process, or of the runtime.
    pub(super) fn tick(&self, most: Duration) -> u32 {
        let elapsed = millis(self.start.elapsed());
        let mut ticked = self.ticked.lock();
        self.advance(&mut ticked, elapsed, millis(most))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the clock wraps")]
    fn advance(&self, ticked: &mut u64, elapsed: u64, most: u64) -> u32 {
        let passed = elapsed.saturating_sub(*ticked).min(most);
        *ticked = elapsed.max(*ticked);
        let now = self.now().wrapping_add(passed as u32);
        self.now.store(now, Ordering::Relaxed);
        now
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_does_not_count() {
        let clock = CoarseClock::new();
        let mut ticked = 0;
        let mut tick = |elapsed| clock.advance(&mut ticked, elapsed, 2000);
        assert_eq!(tick(1000), 1000);
        // Another shard's tick.
        assert_eq!(tick(1400), 1400);
        assert_eq!(tick(61_400), 3400);
        assert_eq!(tick(62_400), 4400);
        // One that read the system's clock earlier.
        assert_eq!(tick(62_399), 4400);
    }
}
