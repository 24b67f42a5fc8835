//! The flusher of a worker: the task that ends its ticks.
//!
//! Owns when a tick ends. The flusher is woken when the first connection is listed, and has to run behind the
//! tasks that are ready then, since they may write to the same receivers. On a runtime of one thread, a task
//! that is woken stands behind them anyway. On one of several, tokio polls it next, but puts a task that wakes
//! itself behind the others. There, that could wake another worker, which costs some 5 µs: so it waits only if
//! its worker is busy.
//!
//! When it is dropped, what is listed leaves, and the list ends. Must not know what is queued.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::runtime::{Handle, RuntimeFlavor, RuntimeMetrics, worker_index};
use tokio_util::sync::CancellationToken;

use super::tick::{Listed, Tick, Ticks};

/// Connections that are flushed before other tasks get a turn, some 0.4 ms.
const SLICE: usize = 128;

/// Entries of a list that are kept between ticks: 64 KiB.
const KEPT_CAPACITY: usize = 4 * 1024;

struct Flusher {
    tick: Arc<Tick>,
    /// The connections that are still to be flushed in this tick.
    batch: Vec<Arc<dyn Listed>>,
    /// Of the runtime, if it runs a woken task next.
    metrics: Option<RuntimeMetrics>,
    pace: Pace,
    has_waited: bool,
}

/// Starts a flusher for each tick, on the runtime that the thread is in.
pub(super) fn start(ticks: &Ticks, stop: &CancellationToken) {
    let runtime = Handle::current();
    let is_next = runtime.runtime_flavor() != RuntimeFlavor::CurrentThread;
    for tick in ticks.iter() {
        let flusher = Flusher::new(Arc::clone(tick), is_next.then(|| runtime.metrics()));
        tokio::spawn(stop.clone().run_until_cancelled_owned(flusher));
    }
}

impl Flusher {
    fn new(tick: Arc<Tick>, metrics: Option<RuntimeMetrics>) -> Self {
        Self {
            tick,
            batch: Vec::new(),
            metrics,
            pace: Pace::default(),
            has_waited: false,
        }
    }

    /// Whether other tasks should run before the tick ends.
    fn waits(&mut self) -> bool {
        let Some(metrics) = self.metrics.as_ref().filter(|_| !self.has_waited) else {
            return false;
        };
        let parks = worker_index().map(|worker| (worker, metrics.worker_park_count(worker)));
        self.has_waited = self.pace.is_busy(parks);
        self.has_waited
    }

    fn flush_slice(&mut self) {
        let rest = self.batch.len().saturating_sub(SLICE);
        for conn in self.batch.drain(rest..) {
            self.pace.count(conn.flush_listed());
        }
    }
}

impl Future for Flusher {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.tick.set_waker(cx.waker());
        if this.batch.is_empty() {
            if this.tick.is_empty() {
                return Poll::Pending;
            }
            if this.waits() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            this.tick.take(&mut this.batch);
        }
        this.flush_slice();
        if this.batch.is_empty() {
            this.batch.shrink_to(KEPT_CAPACITY);
            this.pace.end_tick(std::mem::take(&mut this.has_waited));
        }
        // The next tick may have begun since the batch was taken: a wake for it led to this poll.
        if !this.batch.is_empty() || !this.tick.is_empty() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        let listed = self.tick.end();
        for conn in self.batch.drain(..).chain(listed) {
            conn.flush_listed();
        }
    }
}

/// Whether it is worth while to let other tasks run before a tick ends.
#[derive(Debug, Default)]
struct Pace {
    /// The worker of the last tick, and how often it had slept.
    parks: Option<(usize, u64)>,
    /// Whether the last wait joined frames that would have left one by one.
    paid: bool,
    frames: usize,
    connections: usize,
}

impl Pace {
    /// Whether other tasks are probably ready: the worker has not slept since the last tick, or the last wait
    /// paid.
    fn is_busy(&mut self, parks: Option<(usize, u64)>) -> bool {
        let before = std::mem::replace(&mut self.parks, parks);
        self.paid || before == parks && parks.is_some()
    }

    /// Counts the frames that waited in a connection.
    fn count(&mut self, frames: usize) {
        self.frames += frames;
        self.connections += usize::from(frames > 0);
    }

    fn end_tick(&mut self, has_waited: bool) {
        self.paid = has_waited && self.frames > self.connections;
        (self.frames, self.connections) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts a tick that flushed this many frames to each of ten connections.
    fn end_tick(pace: &mut Pace, has_waited: bool, frames: usize) {
        (0..10).for_each(|_| pace.count(frames));
        pace.end_tick(has_waited);
    }

    #[test]
    fn a_worker_that_sleeps_between_its_ticks_does_not_wait() {
        let mut pace = Pace::default();
        for parks in 0..10 {
            assert!(!pace.is_busy(Some((0, parks))));
            end_tick(&mut pace, false, 1);
        }
    }

    #[test]
    fn a_worker_that_did_not_sleep_waits() {
        let mut pace = Pace::default();
        assert!(!pace.is_busy(Some((0, 7))));
        end_tick(&mut pace, false, 1);
        assert!(pace.is_busy(Some((0, 7))));
        // The flusher has moved to another worker, whose tasks it does not know.
        assert!(!pace.is_busy(Some((1, 7))));
    }

    #[test]
    fn it_waits_again_as_long_as_that_joins_frames() {
        let mut pace = Pace::default();
        assert!(!pace.is_busy(Some((0, 1))));
        end_tick(&mut pace, true, 2);
        assert!(pace.is_busy(Some((0, 2))));
        end_tick(&mut pace, true, 1);
        assert!(!pace.is_busy(Some((0, 3))));
        // Frames that were joined without a wait prove nothing.
        end_tick(&mut pace, false, 2);
        assert!(!pace.is_busy(Some((0, 4))));
    }

    #[test]
    fn connections_that_were_flushed_before_do_not_count() {
        let mut pace = Pace::default();
        assert!(!pace.is_busy(Some((0, 1))));
        pace.count(2);
        (0..9).for_each(|_| pace.count(0));
        pace.end_tick(true);
        assert!(pace.is_busy(Some((0, 2))));
    }
}
