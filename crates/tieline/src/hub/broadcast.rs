//! The queue of a shard: what waits to be delivered, in order.
//!
//! Owns the order between messages to many and messages to one, and the bounds. Must not know who is in
//! which scope, or when the worker runs. Invariants: while anything is queued or being delivered
//! (`pending`), a message to a connection of this shard is queued behind it, so that what one task sends to
//! one client arrives in the order of the calls; what waits keeps no connection alive.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{
    batch::{BroadcastBatch, BroadcastJob},
    block_queue::BlockQueue,
    content::Cast,
    cork::Cork,
    inner::ConnectionInner,
    stats::HubStats,
    times::TimeCounts,
};
use crate::{
    close::CloseReason,
    delivery::{Delivery, Reached},
    receipt::{OutcomeSum, Receipt},
};

/// An entry of the queue.
enum QueuedSend {
    Broadcast(BroadcastJob),
    /// A message to one connection that must not overtake the broadcasts before it.
    Unicast(Weak<ConnectionInner>, Cast, Arc<OutcomeSum>),
    /// A close that must not overtake them either.
    Close(Weak<ConnectionInner>, CloseReason),
}

impl QueuedSend {
    fn length(&self) -> usize {
        match self {
            Self::Broadcast(BroadcastJob { message, audience }) => {
                message.cast.len() + size_of_val(&*audience.excluded)
            }
            Self::Unicast(_, cast, _) => cast.len(),
            Self::Close(..) => 0,
        }
    }
}

/// An entry, and when it was queued.
struct Queued {
    at: Instant,
    send: QueuedSend,
}

/// The bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: usize,
    /// Of messages; and of what waits for those who have left, or of the closes of those who have ended.
    pub(super) frames: usize,
}

pub(super) struct ShardQueue {
    state: Mutex<QueueState>,
    /// Entries that are queued or being delivered.
    pending: AtomicUsize,
    notify: Notify,
    /// Notified whenever entries have been delivered.
    progress: Notify,
    bounds: Bounds,
    times: TimeCounts,
}

struct QueueState {
    entries: BlockQueue<Queued>,
    closes: usize,
    bytes: usize,
    /// Entries that were ever queued.
    queued: u64,
    /// Entries that were ever delivered: all up to this number.
    delivered: u64,
}

impl ShardQueue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            state: Mutex::new(QueueState {
                entries: BlockQueue::new(),
                closes: 0,
                bytes: 0,
                queued: 0,
                delivered: 0,
            }),
            pending: AtomicUsize::new(0),
            notify: Notify::new(),
            progress: Notify::new(),
            bounds,
            times: TimeCounts::default(),
        }
    }

    /// Whether nothing is pending, so that a message to one connection may go straight to its outbox.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0
    }

    /// Adds what waits here, and how long it took before.
    pub(super) fn add_to(&self, stats: &mut HubStats) {
        let queue = self.state.lock();
        stats.queued += queue.entries.len();
        stats.queued_bytes += queue.bytes;
        let age = queue.entries.front().map(|entry| entry.at.elapsed());
        drop(queue);
        stats.queue_age = stats.queue_age.max(age.unwrap_or_default());
        self.times.add_to(&mut stats.queue_times);
    }

    /// Queues a broadcast; returns it if there is no room. Wakes nobody: the caller holds a lock.
    pub(super) fn queue_broadcast(&self, job: BroadcastJob) -> Result<(), BroadcastJob> {
        match self.try_enqueue(QueuedSend::Broadcast(job)) {
            Err(QueuedSend::Broadcast(job)) => Err(job),
            _ => Ok(()),
        }
    }

    /// Queues a message to one connection.
    pub(super) fn queue_unicast(&self, conn: &Arc<ConnectionInner>, cast: Cast) -> Receipt {
        let (sum, receipt) = OutcomeSum::new(1, Reached::default());
        let entry = QueuedSend::Unicast(Arc::downgrade(conn), cast, sum);
        if self.try_enqueue(entry).is_err() {
            let counters = conn.context().counters();
            counters.deliveries(Delivery::QueueFull, 1);
            return Receipt::decided(Delivery::QueueFull);
        }
        self.wake();
        receipt
    }

    /// Closes a connection, behind what was sent to it before. Beside the closes of the `connections` that
    /// there are, a bounded number of those that have ended may wait; beyond it, a connection is closed at
    /// once, and loses what waits for it.
    pub(super) fn close(
        &self,
        conn: &Arc<ConnectionInner>,
        reason: CloseReason,
        connections: usize,
    ) {
        if self.is_idle() {
            conn.close(reason);
        } else if conn.request_close() {
            let mut state = self.state.lock();
            if state.closes < self.bounds.frames.saturating_add(connections) {
                self.enqueue(&mut state, QueuedSend::Close(Arc::downgrade(conn), reason));
                drop(state);
                self.wake();
            } else {
                drop(state);
                conn.close(reason);
            }
        }
    }

    /// Queues within the bounds; returns what does not fit.
    fn try_enqueue(&self, entry: QueuedSend) -> Result<(), QueuedSend> {
        let mut state = self.state.lock();
        let fits = state.entries.len() - state.closes < self.bounds.frames
            && state.bytes + entry.length() <= self.bounds.bytes;
        if !fits {
            return Err(entry);
        }
        self.enqueue(&mut state, entry);
        Ok(())
    }

    fn enqueue(&self, state: &mut QueueState, send: QueuedSend) {
        state.bytes += send.length();
        state.closes += usize::from(matches!(send, QueuedSend::Close(..)));
        let at = Instant::now();
        state.entries.push_back(Queued { at, send });
        state.queued += 1;
        self.pending.fetch_add(1, Ordering::AcqRel);
    }

    /// Waits until what is pending now has been delivered. Cancel-safe.
    pub(super) async fn passed(&self) {
        if self.is_idle() {
            return;
        }
        let queued = self.state.lock().queued;
        loop {
            // Before the test: it is notified of all that happens from here on.
            let progress = self.progress.notified();
            if self.state.lock().delivered >= queued {
                return;
            }
            progress.await;
        }
    }

    /// The closes that wait.
    #[cfg(test)]
    pub(super) fn closes(&self) -> usize {
        self.state.lock().closes
    }

    /// Wakes the worker.
    pub(super) fn wake(&self) {
        self.notify.notify_one();
    }
}

/// For the worker.
impl ShardQueue {
    /// Waits until something has been queued.
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }

    /// Notes how long broadcasts took, the oldest of which was queued then.
    pub(super) fn record(&self, queued_at: Instant, broadcasts: usize) {
        self.times.record(queued_at.elapsed(), broadcasts as u64);
    }

    /// Notes that entries have been delivered.
    pub(super) fn finish(&self, entries: usize) {
        self.state.lock().delivered += entries as u64;
        self.pending.fetch_sub(entries, Ordering::AcqRel);
        self.progress.notify_waiters();
    }

    /// Delivers everything up to the next broadcast without yielding: it is work that the senders would
    /// have done themselves, and if the worker yielded in between, senders could add to it faster than it
    /// shrinks. What is added meanwhile waits for the next call, as an outcome may trigger the next
    /// message. Corked, so that each receiver is flushed once. Returns how many entries that was.
    pub(super) fn drain_unicasts(&self) -> usize {
        let _cork = Cork::new();
        let limit = self.state.lock().entries.len();
        let mut done = 0;
        while done < limit
            && let Some(next) = self.next_if(|entry| !matches!(entry, QueuedSend::Broadcast(_)))
        {
            match next.send {
                QueuedSend::Unicast(conn, cast, sum) => {
                    let conn = conn.upgrade();
                    let delivery = conn.map_or(Delivery::Offline, |conn| conn.send(cast));
                    let mut reached = Reached::default();
                    reached.record(delivery);
                    sum.add_part(reached);
                    self.record(next.at, 1);
                }
                QueuedSend::Close(conn, reason) => close(&conn, reason),
                QueuedSend::Broadcast(_) => {}
            }
            done += 1;
        }
        done
    }

    /// The next broadcast, and those right behind it that are for the same scope, with the closes between
    /// them; and when it was queued.
    pub(super) fn next_batch(&self) -> Option<(BroadcastBatch, Instant)> {
        let is_broadcast = |entry: &QueuedSend| matches!(entry, QueuedSend::Broadcast(_));
        let Queued { at, send } = self.next_if(is_broadcast)?;
        let QueuedSend::Broadcast(first) = send else {
            return None;
        };
        let mut batch = BroadcastBatch::new(first);
        while let Some(next) = self.next_if(|entry| match entry {
            QueuedSend::Broadcast(job) => batch.accepts(job),
            QueuedSend::Close(..) => true,
            QueuedSend::Unicast(..) => false,
        }) {
            match next.send {
                QueuedSend::Broadcast(job) => batch.push(job),
                QueuedSend::Close(conn, reason) => batch.push_close(conn, reason),
                QueuedSend::Unicast(..) => {}
            }
        }
        Some((batch.seal(), at))
    }

    fn next_if(&self, wanted: impl FnOnce(&QueuedSend) -> bool) -> Option<Queued> {
        let mut state = self.state.lock();
        if !wanted(&state.entries.front()?.send) {
            return None;
        }
        let next = state.entries.pop_front()?;
        state.bytes -= next.send.length();
        state.closes -= usize::from(matches!(next.send, QueuedSend::Close(..)));
        Some(next)
    }
}

/// Closes a connection, if it has not ended.
pub(super) fn close(conn: &Weak<ConnectionInner>, reason: CloseReason) {
    if let Some(conn) = conn.upgrade() {
        conn.close(reason);
    }
}
