//! Compares the registry with this node: the audit claims again what the node believes to have, the
//! sweep releases what the registry lists for the node and the node does not hold.
//!
//! Owns the pace. Invariant: each of the two uses at most a twentieth of the registry's time.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tieline_registry::{Cursor, claim_table::Lane};
use tokio::{sync::Notify, time::Instant};

use super::{Registrar, RegistrarHost};

/// The shortest pause between two requests.
const PAUSE: Duration = Duration::from_millis(20);

/// A pause lasts this many times as long as the request before it: 1 part work, 19 parts pause.
const PAUSE_FACTOR: u32 = 19;

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
}

/// Compares on request and every audit interval, until the registrar stops.
pub(super) async fn run<H: RegistrarHost>(registrar: Registrar<H>) {
    let inner = &*registrar.0;
    let mut next = Instant::now() + inner.config.audit_interval;
    let mut sweep = None;
    let (mut audit_pacing, mut sweep_pacing) = (Pacing::default(), Pacing::default());
    loop {
        if sweep.is_none() && !inner.table.lock().has_queued(Lane::Slow) {
            tokio::select! {
                () = inner.reconciler.wake.notified() => {}
                () = tokio::time::sleep_until(next) => inner.reconciler.compare(),
            }
        }
        if inner.reconciler.compare.swap(false, Ordering::AcqRel) {
            inner.table.lock().audit();
            // A running sweep continues: if it restarted each time, it might never reach the end.
            sweep.get_or_insert_with(Cursor::default);
            // Jitter, so that nodes that started together do not audit together.
            next = Instant::now()
                + inner
                    .config
                    .audit_interval
                    .mul_f64(0.9 + 0.2 * fastrand::f64());
        }
        let requests = registrar.next_requests(Lane::Slow);
        if !requests.is_empty() {
            let start = Instant::now();
            let replied = registrar.send(requests).await;
            audit_pacing.pause(replied.then(|| start.elapsed())).await;
        }
        if let Some(cursor) = sweep.take() {
            let start = Instant::now();
            let page = registrar.sweep(cursor).await;
            let took = page.is_some().then(|| start.elapsed());
            sweep = page.flatten();
            sweep_pacing.pause(took).await;
        }
    }
}

impl<H: RegistrarHost> Registrar<H> {
    /// Sweeps one page of the entries that the registry lists for this node. The position of the next
    /// page, if there is one; `None` if the registry did not reply.
    async fn sweep(&self, cursor: Cursor) -> Option<Option<Cursor>> {
        let session = self.0.session.lock().clone()?;
        let page = self.with_timeout(
            "list the node's ids",
            self.0.registry.ids_of(&session, cursor),
        );
        let page = page.await.ok()?;
        self.0.table.lock().sweep(page.items);
        Some(page.next)
    }
}

/// Limits the share of the registry's time that requests of one kind take.
#[derive(Debug, Default)]
struct Pacing {
    last: Duration,
}

impl Pacing {
    /// Pauses after a request that took so long, or got no reply.
    async fn pause(&mut self, took: Option<Duration>) {
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
