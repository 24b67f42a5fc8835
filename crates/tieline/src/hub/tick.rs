//! Ticks: one flush per connection for all that the tasks which are ready on a worker send to groups, users
//! and everyone.
//!
//! A cork ends with a poll. Ten clients that write to their room at once are ten polls, which would be ten
//! writes to each of them. So a message to many leaves later: the receiver is listed, and the `flusher` of
//! the worker flushes each listed connection once, after the tasks that were ready before it. What goes to
//! one client leaves with the cork: nothing would be joined there.
//!
//! Owns a list for each worker of the hub's runtime. Must not know what is queued, or when the flusher runs.
//! Invariants: a connection is marked as listed if and only if it stands in one list, or in the batch of a
//! flusher that has not come to it yet; whoever adds the first connection to a list wakes its flusher;
//! nothing is added to a list whose flusher has ended. The lock of a list is taken with a send side locked,
//! never the other way round.

use std::{
    cell::Cell,
    mem,
    sync::{Arc, OnceLock},
    task::Waker,
};

use parking_lot::Mutex;
use tokio::{
    runtime::{Handle, Id, worker_index},
    task::try_id,
};

/// A connection that can be listed.
pub(super) trait Listed: Send + Sync {
    /// Takes the mark off, and writes what waits; returns how many frames that was.
    fn flush_listed(&self) -> usize;
}

thread_local! {
    /// The runtime of the poll that runs, if it has said so.
    static RUNTIME: Cell<Option<Id>> = const { Cell::new(None) };
}

/// Sets the runtime that this thread is in, or `None` if a poll ends. Without it, each message to many asks
/// tokio, which changes a count that all workers share.
pub(super) fn set_runtime(runtime: Option<Id>) {
    RUNTIME.set(runtime);
}

/// The runtime of the task that runs. The future of `block_on` is no task: it may return, or block, and then
/// nobody runs the flusher.
fn current_runtime() -> Option<Id> {
    let ask = || try_id().and_then(|_| Some(Handle::try_current().ok()?.id()));
    RUNTIME.get().or_else(ask)
}

/// The ticks of a hub, one for each worker of the runtime on which it was started.
pub(super) struct Ticks {
    runtime: Id,
    ticks: Box<[Arc<Tick>]>,
}

impl Ticks {
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn new() -> Self {
        let runtime = Handle::current();
        let workers = runtime.metrics().num_workers();
        Self {
            runtime: runtime.id(),
            ticks: (0..workers).map(|_| Arc::default()).collect(),
        }
    }

    /// Whether the task that runs is on the runtime on which the hub was started.
    pub(super) fn drive_this_task(&self) -> bool {
        current_runtime() == Some(self.runtime)
    }

    /// The runtime on which the hub was started.
    pub(super) fn runtime(&self) -> Id {
        self.runtime
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Tick>> {
        self.ticks.iter()
    }

    /// The tick of this worker. `None` outside of a task, on a thread that is no worker, and on another
    /// runtime.
    pub(super) fn current(&self) -> Option<&Tick> {
        let index = worker_index().filter(|_| self.drive_this_task())?;
        self.ticks.get(index).map(|tick| &**tick)
    }
}

/// The connections to flush when a worker's tick ends.
#[derive(Default)]
pub(super) struct Tick {
    list: Mutex<List>,
    /// Of the flusher, since its first poll.
    waker: OnceLock<Waker>,
}

#[derive(Default)]
struct List {
    conns: Vec<Arc<dyn Listed>>,
    has_ended: bool,
}

impl Tick {
    /// Lists a connection for the end of the tick; false if the hub has ended.
    pub(super) fn list(&self, conn: Arc<dyn Listed>) -> bool {
        let mut list = self.list.lock();
        if list.has_ended {
            return false;
        }
        list.conns.push(conn);
        let is_first = list.conns.len() == 1;
        drop(list);
        // Without a waker, the flusher's first poll is to come.
        if is_first && let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
        true
    }
}

/// For the flusher.
impl Tick {
    /// Sets whom to wake. To be called in each poll, before the list is looked at.
    pub(super) fn set_waker(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.lock().conns.is_empty()
    }

    /// Takes what is listed; `batch`, which is empty, becomes the list, so that its memory is used again.
    pub(super) fn take(&self, batch: &mut Vec<Arc<dyn Listed>>) {
        mem::swap(batch, &mut self.list.lock().conns);
    }

    /// Refuses further connections, and returns those that are listed.
    pub(super) fn end(&self) -> Vec<Arc<dyn Listed>> {
        let mut list = self.list.lock();
        list.has_ended = true;
        mem::take(&mut list.conns)
    }
}
