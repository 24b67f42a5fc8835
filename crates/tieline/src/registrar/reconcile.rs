//! Compares both sides, at a pace that leaves the registry alone: the audit claims again what this
//! node believes to have, the sweep gives back what it has not.
//!
//! Invariant: it never takes more than a twentieth of the registry's time.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tieline_registry::{Cursor, claim_table::Lane};
use tokio::{sync::Notify, time::Instant};

use super::{Registrar, RegistrarHost};

/// Shortest pause between two batches.
const PAUSE: Duration = Duration::from_millis(20);

/// Pauses are this many times as long as what they follow took.
const SHARE: u32 = 19;

#[derive(Debug, Default)]
pub(super) struct Reconciler {
    wake_sender: Notify,
    compare: AtomicBool,
    foreign: Mutex<Option<i64>>,
}

impl Reconciler {
    /// Something that is not urgent waits.
    pub(super) fn wake(&self) {
        self.wake_sender.notify_one();
    }

    /// Both sides are to be compared.
    pub(super) fn compare(&self) {
        self.compare.store(true, Ordering::Release);
        self.wake();
    }

    /// Foreign programs' balance in the shared layout; a new one means that they were at work, and
    /// may have written over our entries or deleted them.
    pub(super) fn foreign(&self, balance: Option<i64>) {
        if std::mem::replace(&mut *self.foreign.lock(), balance) != balance {
            self.compare();
        }
    }

    pub(super) fn balance(&self) -> Option<i64> {
        *self.foreign.lock()
    }
}

/// Compares, for ever: when asked, and every audit interval.
pub(super) async fn run<S: RegistrarHost>(registrar: Registrar<S>) {
    let inner = &*registrar.0;
    let mut next = Instant::now() + inner.config.audit;
    let mut sweep = None;
    let (mut claiming, mut sweeping) = (Pacing::default(), Pacing::default());
    loop {
        if sweep.is_none() && !inner.table.lock().waits(Lane::Slow) {
            tokio::select! {
                () = inner.reconciler.wake_sender.notified() => {}
                () = tokio::time::sleep_until(next) => inner.reconciler.compare(),
            }
        }
        if inner.reconciler.compare.swap(false, Ordering::AcqRel) {
            inner.table.lock().audit();
            // A sweep under way goes on: begun anew each time, it might never come to the end.
            sweep.get_or_insert_with(Cursor::default);
            // Jittered, so that nodes which began together do not audit together.
            next = Instant::now() + inner.config.audit.mul_f64(0.9 + 0.2 * fastrand::f64());
        }
        let requests = registrar.take(Lane::Slow);
        if !requests.is_empty() {
            let begun = Instant::now();
            let answered = registrar.carry_out(requests).await;
            claiming.pause(answered.then(|| begun.elapsed())).await;
        }
        if let Some(cursor) = sweep.take() {
            let begun = Instant::now();
            let page = registrar.sweep(cursor).await;
            let took = page.is_some().then(|| begun.elapsed());
            sweep = page.flatten();
            sweeping.pause(took).await;
        }
    }
}

impl<S: RegistrarHost> Registrar<S> {
    /// Sweeps one page of what the registry has for this node, and says where to go on; nothing at all
    /// where it was not answered.
    async fn sweep(&self, cursor: Cursor) -> Option<Option<Cursor>> {
        let session = self.0.session.lock().clone()?;
        let page = self.with_timeout("list entries", self.0.registry.ids_of(&session, cursor));
        let page = page.await.ok()?;
        self.0.table.lock().sweep(page.items);
        Some(page.next)
    }
}

/// How much of the registry's time calls of one kind take.
#[derive(Debug, Default)]
struct Pacing {
    last: Duration,
}

impl Pacing {
    /// Pauses after a call that took so long, or was not answered.
    async fn pause(&mut self, took: Option<Duration>) {
        tokio::time::sleep(self.after(took)).await;
    }

    /// Two slow answers in a row are load. A single one is the end of a stall, and so is none: repairs
    /// must not wait for many times as long as the registry was away.
    fn after(&mut self, took: Option<Duration>) -> Duration {
        let load = took.map_or(Duration::ZERO, |took| {
            took.min(std::mem::replace(&mut self.last, took))
        });
        (load * SHARE).max(PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_given_room_and_a_stall_is_not_waited_for_again() {
        let mut pacing = Pacing::default();
        let fast = Some(Duration::from_millis(2));
        let slow = Some(Duration::from_millis(900));
        assert_eq!(pacing.after(fast), PAUSE);
        assert_eq!(pacing.after(fast), Duration::from_millis(38));
        assert_eq!(pacing.after(slow), Duration::from_millis(38));
        assert_eq!(pacing.after(None), PAUSE);
        assert_eq!(pacing.after(fast), Duration::from_millis(38));
        pacing.after(slow);
        assert_eq!(pacing.after(slow), Duration::from_millis(900 * 19));
    }
}
