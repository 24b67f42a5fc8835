//! When to compare the registry with this node, and how fast.
//!
//! Owns the signals that start a comparison, and the pauses between its requests. Must not know the
//! registry.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The shortest pause between two requests.
const PAUSE: Duration = Duration::from_millis(20);

/// A pause lasts this many times as long as the request before it: 1 part work, 19 parts pause.
const PAUSE_FACTOR: u32 = 19;

/// The signals between the tasks of the registrar and the comparison.
#[derive(Debug, Default)]
pub(super) struct Reconciler {
    wake: Notify,
    compare: AtomicBool,
    foreign_balance: Mutex<Option<i64>>,
}

impl Reconciler {
    /// Something is in the slow lane.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Starts a comparison: an audit, and a sweep unless one is running.
    pub(super) fn compare(&self) {
        self.compare.store(true, Ordering::Release);
        self.wake();
    }

    /// Another balance than before means that other programs have written to the shared layout, and
    /// may have overwritten or deleted entries of this node.
    pub(super) fn on_foreign_balance(&self, balance: Option<i64>) {
        if std::mem::replace(&mut *self.foreign_balance.lock(), balance) != balance {
            self.compare();
        }
    }

    pub(super) fn foreign_balance(&self) -> Option<i64> {
        *self.foreign_balance.lock()
    }

    /// Waits until something is in the slow lane, or a comparison is due.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Takes the request to compare. False if there is none.
    pub(super) fn take_due(&self) -> bool {
        self.compare.swap(false, Ordering::AcqRel)
    }
}

/// Limits the share of the registry's time that requests of one kind take.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    last: Duration,
}

impl Pacing {
    /// Pauses after a request that took so long, or got no reply.
    pub(super) async fn pause(&mut self, took: Option<Duration>) {
        tokio::time::sleep(self.pause_after(took)).await;
    }

    /// Two slow replies in a row mean load. A single one, or none, means that the registry stalled:
    /// repairs must not then wait for many times as long as the stall lasted.
    fn pause_after(&mut self, took: Option<Duration>) -> Duration {
        let load = took.map_or(Duration::ZERO, |took| {
            took.min(std::mem::replace(&mut self.last, took))
        });
        (load * PAUSE_FACTOR).max(PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_lengthens_the_pause_and_a_single_stall_does_not() {
        let mut pacing = Pacing::default();
        let fast = Some(Duration::from_millis(2));
        let slow = Some(Duration::from_millis(900));
        assert_eq!(pacing.pause_after(fast), PAUSE);
        assert_eq!(pacing.pause_after(fast), Duration::from_millis(38));
        assert_eq!(pacing.pause_after(slow), Duration::from_millis(38));
        assert_eq!(pacing.pause_after(None), PAUSE);
        assert_eq!(pacing.pause_after(fast), Duration::from_millis(38));
        pacing.pause_after(slow);
        assert_eq!(pacing.pause_after(slow), Duration::from_millis(900 * 19));
    }
}
