//! When to compare the registry with this node, and how fast.
//!
//! Owns the signals that start a comparison, and the pauses between its requests. Must not know the
//! registry.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tieline_registry::ClientId;
use tokio::sync::Notify;

/// The shortest pause between two requests.
const PAUSE: Duration = Duration::from_millis(20);

/// A pause lasts this many times as long as the request before it: 1 part work, 19 parts pause.
const PAUSE_FACTOR: u32 = 19;

/// While refilling, a reply within this time shows that the registry keeps up. A batch of 512 claims
/// takes some 5 ms of Redis's time, so four nodes refill at full speed, and further ones take turns.
const REFILL_LATENCY: Duration = Duration::from_millis(25);

/// Ids to look up, at most. Further ones are left to the next sweep, so that peers cannot fill the queue.
const MAX_SUSPECTS: usize = 512;

/// Ids that are looked up between two batches.
const SUSPECTS_AT_ONCE: usize = 16;

/// The signals between the tasks of the registrar and the comparison.
#[derive(Debug, Default)]
pub(super) struct Reconciler {
    wake: Notify,
    compare: AtomicBool,
    foreign_balance: Mutex<Option<i64>>,
    /// Ids for which peers came here in vain.
    suspects: Mutex<Vec<ClientId>>,
}

impl Reconciler {
    /// Something is in the slow lane.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Has an id looked up, unless many are waiting for that.
    pub(super) fn suspect(&self, id: ClientId) {
        let mut suspects = self.suspects.lock();
        if suspects.len() < MAX_SUSPECTS && !suspects.contains(&id) {
            suspects.push(id);
            drop(suspects);
            self.wake();
        }
    }

    pub(super) fn has_suspects(&self) -> bool {
        !self.suspects.lock().is_empty()
    }

    /// The next ids to look up.
    pub(super) fn take_suspects(&self) -> Vec<ClientId> {
        let mut suspects = self.suspects.lock();
        let count = suspects.len().min(SUSPECTS_AT_ONCE);
        suspects.drain(..count).collect()
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

    /// Pauses after a request that refills the registry.
    pub(super) async fn pause_refill(&mut self, took: Option<Duration>) {
        tokio::time::sleep(self.pause_after_refill(took)).await;
    }

    /// None while the registry keeps up. Above that, the pause grows with the square of the time that a
    /// reply takes, up to the pause of an audit: so nodes that refill at the same time slow down
    /// together, and leave room for new connections and lookups.
    fn pause_after_refill(&mut self, took: Option<Duration>) -> Duration {
        let Some(took) = took else {
            return self.pause_after(None);
        };
        let load = took.min(std::mem::replace(&mut self.last, took));
        if load <= REFILL_LATENCY {
            return Duration::ZERO;
        }
        let factor = load.as_secs_f64() / REFILL_LATENCY.as_secs_f64();
        load.mul_f64(factor.min(f64::from(PAUSE_FACTOR)))
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

    #[test]
    fn a_refill_goes_on_without_pauses_while_the_replies_are_fast() {
        let mut pacing = Pacing::default();
        let mut pause = |millis| {
            let took = Some(Duration::from_millis(millis));
            pacing.pause_after_refill(took);
            pacing.pause_after_refill(took).as_millis()
        };
        assert_eq!([pause(5), pause(25)], [0, 0]);
        assert_eq!([pause(50), pause(100)], [100, 400]);
        assert_eq!(pause(1000), 19_000, "no longer than that of an audit");
        assert_eq!(pacing.pause_after_refill(None), PAUSE, "a stall");
    }

    #[test]
    fn suspects_are_bounded_and_looked_up_in_parts() {
        let reconciler = Reconciler::default();
        for n in 0..1_000 {
            reconciler.suspect(ClientId::new(n.to_string()).unwrap());
        }
        let mut taken = 0;
        while reconciler.has_suspects() {
            let part = reconciler.take_suspects().len();
            assert!(part <= SUSPECTS_AT_ONCE);
            taken += part;
        }
        assert_eq!(taken, MAX_SUSPECTS);
    }
}
