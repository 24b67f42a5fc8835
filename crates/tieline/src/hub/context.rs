//! What all connections of a hub share: the configuration, the clock, the ping frame.
//!
//! Owns the coarse clock. Knows no connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use tieline_websocket::{AnyFrame, Deflate, Limits};

use crate::config::Config;

#[derive(Debug)]
pub(crate) struct HubContext {
    pub(crate) config: Config,
    pub(crate) limits: Limits,
    pub(crate) clock: CoarseClock,
    pub(crate) ping: AnyFrame,
    pub(super) deflate: Option<Arc<Deflate>>,
}

impl HubContext {
    pub(super) fn new(config: Config) -> Self {
        let limits = config.limits();
        let deflate = config.compression.map(Arc::new);
        let (clock, ping) = (CoarseClock::new(), AnyFrame::ping(b""));
        Self {
            config,
            limits,
            clock,
            ping,
            deflate,
        }
    }
}

/// A coarse monotonic clock: milliseconds since the hub started, set by the keepalive, read for the price of
/// a load. It wraps after 49 days, so only differences are meaningful.
#[derive(Debug)]
pub(crate) struct CoarseClock {
    start: Instant,
    now: AtomicU32,
}

impl CoarseClock {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            now: AtomicU32::new(0),
        }
    }

    /// The time of the last tick.
    pub(crate) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    /// Sets the clock, and returns the time.
    #[expect(clippy::cast_possible_truncation, reason = "the clock wraps")]
    pub(super) fn tick(&self) -> u32 {
        let now = self.start.elapsed().as_millis() as u32;
        self.now.store(now, Ordering::Relaxed);
        now
    }
}
