//! Counts messages within the measurement window.
//!
//! Owns the window, the counts and the latencies. Must not read the clock: callers pass times.
//! Invariant: latency includes every message that was scheduled within the window, even if it arrived
//! later, so that slow messages are not left out.

use crate::outcome::Latency;

/// Counts within a window of time.
#[derive(Debug)]
pub(crate) struct Meter {
    begin: u64,
    end: u64,
    /// Messages sent within the window.
    pub(crate) sent: u64,
    /// Messages that arrived within the window.
    pub(crate) arrived: u64,
    /// The latency of all messages that were scheduled within the window, whenever they arrived.
    pub(crate) latency: Latency,
}

impl Meter {
    /// Counts from `begin` to `end`.
    pub(crate) fn new(begin: u64, end: u64) -> Self {
        Self {
            begin,
            end,
            sent: 0,
            arrived: 0,
            latency: Latency::new(),
        }
    }

    #[inline]
    pub(crate) fn sent(&mut self, now: u64) {
        self.sent += u64::from(self.counts(now));
    }

    #[inline]
    pub(crate) fn arrived(&mut self, left: u64, now: u64) {
        self.arrived += u64::from(self.counts(now));
        if self.counts(left) {
            self.latency.0.saturating_record(now.saturating_sub(left));
        }
    }

    /// Ends the window at `time` or before, when nothing more can arrive.
    pub(crate) fn cut(&mut self, time: u64) {
        self.end = self.end.min(time).max(self.begin);
    }

    pub(crate) fn begin(&self) -> u64 {
        self.begin
    }

    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    #[inline]
    fn counts(&self, time: u64) -> bool {
        self.begin <= time && time < self.end
    }
}
