//! Compares both sides, at a pace that leaves the registry alone: the audit claims again what this
//! node believes to have, the sweep gives back what it has not.
//!
//! Invariant: it never takes more than a twentieth of the registry's time, but for one batch after each
//! join.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{Claims, Pace, Surroundings};
use crate::registry::Cursor;

/// Shortest pause between two batches.
const PAUSE: Duration = Duration::from_millis(20);

/// Pauses are this many times as long as what they follow took.
const SHARE: u32 = 19;

#[derive(Debug, Default)]
pub(super) struct Upkeep {
    bell: Notify,
    hurry: Notify,
    compare: AtomicBool,
    foreign: Mutex<Option<i64>>,
}

impl Upkeep {
    /// Something that is not urgent waits.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Entries may be gone: what is to be claimed again does not wait for the end of a pause. One after
    /// a request that hung would be nineteen times as long, which says nothing of the registry's work.
    pub(super) fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Both sides are to be compared.
    pub(super) fn compare(&self) {
        self.compare.store(true, Ordering::Release);
        self.ring();
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
pub(super) async fn run<S: Surroundings>(claims: Claims<S>) {
    let inner = &*claims.0;
    let mut next = Instant::now() + inner.terms.audit;
    let mut sweep = None;
    loop {
        if sweep.is_none() && !inner.slots.lock().waits(Pace::Slow) {
            tokio::select! {
                () = inner.upkeep.bell.notified() => {}
                () = tokio::time::sleep_until(next) => inner.upkeep.compare(),
            }
        }
        if inner.upkeep.compare.swap(false, Ordering::AcqRel) {
            inner.slots.lock().audit();
            sweep = Some(Cursor::default());
            // Jittered, so that nodes which began together do not audit together.
            next = Instant::now() + inner.terms.audit.mul_f64(0.9 + 0.2 * fastrand::f64());
        }
        let begun = Instant::now();
        claims.carry_out(claims.take(Pace::Slow)).await;
        claims.pause_after(begun).await;
        if let Some(cursor) = sweep.take() {
            let begun = Instant::now();
            sweep = claims.sweep(cursor).await;
            claims.pause_after(begun).await;
        }
    }
}

impl<S: Surroundings> Claims<S> {
    /// Sweeps one page of what the registry has for this node.
    async fn sweep(&self, cursor: Cursor) -> Option<Cursor> {
        let session = self.0.session.lock().clone()?;
        let page = self.timely("list entries", self.0.registry.held(&session, cursor));
        let page = page.await.ok()?;
        self.0.slots.lock().sweep(page.items);
        page.next
    }

    async fn pause_after(&self, begun: Instant) {
        let pause = (begun.elapsed() * SHARE).max(PAUSE);
        let hurry = self.0.upkeep.hurry.notified();
        // Either way it goes on.
        let _ = tokio::time::timeout(pause, hurry).await;
    }
}
