//! Broadcasts: a queue and a worker per shard.
//!
//! Owns the order between messages to many and messages to one. Must not know who is in which scope:
//! audiences come from the index. The worker takes the jobs at the head of the queue that have the same
//! audience, joins their frames once, and writes the joined bytes once per connection, a slice of
//! connections at a time. Invariant: while anything is queued or being delivered (`pending`), a message to
//! a connection of this shard is queued behind it, so that what one task sends to one client arrives in
//! the order of the calls.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};
use tieline_websocket::Frame;
use tokio::sync::Notify;

use super::{
    cork::Cork,
    frame_batch::{self, FrameBatch},
    index::Audience,
    inner::ConnectionInner,
};
use crate::{
    close::CloseReason,
    delivery::{Delivery, Reached},
    receipt::{OutcomeSum, Receipt},
};

/// Connections that the worker serves before it yields: about 0.2 ms of sends.
const SLICE: usize = 64;

/// The largest audience that the caller serves itself, if nothing is queued: waking the worker would cost
/// as much as the sends.
const INLINE_RECEIVERS: usize = 32;

/// Places that an empty queue keeps.
const KEPT_CAPACITY: usize = 64;

/// Client ids that a broadcast leaves out.
pub(crate) type ExcludedIds = Arc<[Arc<str>]>;

/// A message to an audience.
pub(super) struct BroadcastJob {
    pub(super) audience: Audience,
    pub(super) except: Option<ExcludedIds>,
    pub(super) frame: Frame,
    pub(super) sum: Arc<OutcomeSum>,
}

/// An entry of the queue.
enum QueuedSend {
    Broadcast(BroadcastJob),
    /// A message to one connection that must not overtake the broadcasts before it.
    Unicast(Arc<ConnectionInner>, Frame, Arc<OutcomeSum>),
    /// A close that must not overtake them either.
    Close(Arc<ConnectionInner>, CloseReason),
}

impl QueuedSend {
    fn length(&self) -> usize {
        match self {
            Self::Broadcast(BroadcastJob { frame, .. }) | Self::Unicast(_, frame, _) => {
                frame.payload().len()
            }
            Self::Close(..) => 0,
        }
    }
}

/// The bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: usize,
    pub(super) frames: usize,
}

pub(super) struct ShardQueue {
    state: Mutex<QueueState>,
    /// Entries that are queued or being delivered.
    pending: AtomicUsize,
    notify: Notify,
    bounds: Bounds,
}

#[derive(Default)]
struct QueueState {
    entries: VecDeque<QueuedSend>,
    bytes: usize,
}

impl ShardQueue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            state: Mutex::default(),
            pending: AtomicUsize::new(0),
            notify: Notify::new(),
            bounds,
        }
    }

    /// Whether nothing is pending, so that a message to one connection may go straight to its outbox.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0
    }

    /// Delivers to a small audience at once, if nothing is pending; inside a cork the frames leave when it
    /// ends. `None` if the message has to be queued.
    pub(super) fn try_send_inline(
        &self,
        audience: &Audience,
        except: Option<&ExcludedIds>,
        frame: &Frame,
    ) -> Option<Reached> {
        if audience.len() > INLINE_RECEIVERS || !self.is_idle() {
            return None;
        }
        let mut reached = Reached::default();
        for conn in receivers(audience, except) {
            reached.record(conn.send(frame.clone()));
        }
        Some(reached)
    }

    /// Queues a broadcast for the worker.
    pub(super) fn queue_broadcast(&self, job: BroadcastJob) {
        if let Err(QueuedSend::Broadcast(job)) = self.try_enqueue(QueuedSend::Broadcast(job)) {
            let queue_full = receivers(&job.audience, job.except.as_ref()).count() as u64;
            job.sum.add_part(Reached {
                queue_full,
                ..Reached::default()
            });
        }
    }

    /// Queues a message to one connection.
    pub(super) fn queue_unicast(&self, conn: &Arc<ConnectionInner>, frame: Frame) -> Receipt {
        let (sum, receipt) = OutcomeSum::new(1, Reached::default());
        match self.try_enqueue(QueuedSend::Unicast(Arc::clone(conn), frame, sum)) {
            Ok(()) => receipt,
            Err(_) => Receipt::decided(Delivery::QueueFull),
        }
    }

    /// Closes a connection, behind what was sent to it before. Closes do not count against the bounds:
    /// there is one per connection.
    pub(super) fn close(&self, conn: &Arc<ConnectionInner>, reason: CloseReason) {
        if self.is_idle() {
            conn.close(reason);
        } else if conn.request_close() {
            let close = QueuedSend::Close(Arc::clone(conn), reason);
            self.enqueue(self.state.lock(), close);
        }
    }

    /// Queues within the bounds; returns what does not fit.
    fn try_enqueue(&self, entry: QueuedSend) -> Result<(), QueuedSend> {
        let state = self.state.lock();
        let fits = state.entries.len() < self.bounds.frames
            && state.bytes + entry.length() <= self.bounds.bytes;
        if !fits {
            return Err(entry);
        }
        self.enqueue(state, entry);
        Ok(())
    }

    fn enqueue(&self, mut state: MutexGuard<'_, QueueState>, entry: QueuedSend) {
        state.bytes += entry.length();
        state.entries.push_back(entry);
        self.pending.fetch_add(1, Ordering::AcqRel);
        drop(state);
        self.notify.notify_one();
    }

    /// Delivers what is queued, for ever.
    pub(super) async fn run_worker(&self) {
        loop {
            self.notify.notified().await;
            loop {
                let unicasts = self.drain_unicasts();
                self.pending.fetch_sub(unicasts, Ordering::AcqRel);
                match self.next_batch() {
                    Some(batch) => {
                        let jobs = self.deliver(batch).await;
                        self.pending.fetch_sub(jobs, Ordering::AcqRel);
                    }
                    // What was queued meanwhile has notified again.
                    None if unicasts == 0 => break,
                    None => tokio::task::yield_now().await,
                }
            }
        }
    }

    /// Delivers everything up to the next broadcast without yielding: it is work that the senders would
    /// have done themselves, and if the worker yielded in between, senders could add to it faster than it
    /// shrinks. What is added meanwhile waits for the next call, as an outcome may trigger the next
    /// message. Corked, so that each receiver is flushed once. Returns how many entries that was.
    fn drain_unicasts(&self) -> usize {
        let _cork = Cork::new();
        let limit = self.state.lock().entries.len();
        let mut done = 0;
        while done < limit
            && let Some(next) = self.next_if(|entry| !matches!(entry, QueuedSend::Broadcast(_)))
        {
            match next {
                QueuedSend::Unicast(conn, frame, sum) => {
                    let mut reached = Reached::default();
                    reached.record(conn.send(frame));
                    sum.add_part(reached);
                }
                QueuedSend::Close(conn, reason) => conn.close(reason),
                QueuedSend::Broadcast(_) => {}
            }
            done += 1;
        }
        done
    }

    /// Delivers a batch slice by slice; returns how many jobs it was.
    async fn deliver(&self, mut batch: BroadcastBatch) -> usize {
        for slice in 0..batch.audience.len().div_ceil(SLICE) {
            batch.send_slice(slice);
            tokio::task::yield_now().await;
        }
        let jobs = batch.frames.len();
        batch.finish();
        jobs
    }

    /// The next broadcast, and those right behind it that have the same audience.
    fn next_batch(&self) -> Option<BroadcastBatch> {
        let is_broadcast = |entry: &QueuedSend| matches!(entry, QueuedSend::Broadcast(_));
        let Some(QueuedSend::Broadcast(first)) = self.next_if(is_broadcast) else {
            return None;
        };
        let mut bytes = first.frame.payload().len();
        let mut batch = BroadcastBatch::new(first);
        while batch.frames.len() < frame_batch::MAX_FRAMES
            && let Some(QueuedSend::Broadcast(next)) = self.next_if(|entry| {
                let fits = bytes + entry.length() <= frame_batch::MAX_BYTES;
                fits && matches!(entry, QueuedSend::Broadcast(job) if batch.is_for(job))
            })
        {
            bytes += next.frame.payload().len();
            batch.frames.push(next.frame, next.sum);
        }
        Some(batch)
    }

    fn next_if(&self, wanted: impl FnOnce(&QueuedSend) -> bool) -> Option<QueuedSend> {
        let mut state = self.state.lock();
        if !wanted(state.entries.front()?) {
            return None;
        }
        let next = state.entries.pop_front()?;
        state.bytes -= next.length();
        if state.entries.is_empty() && state.entries.capacity() > KEPT_CAPACITY {
            state.entries = VecDeque::new();
        }
        Some(next)
    }
}

/// Consecutive broadcasts to one audience, and their results.
struct BroadcastBatch {
    audience: Audience,
    except: Option<ExcludedIds>,
    frames: FrameBatch<Arc<OutcomeSum>>,
    /// Connections that took every frame.
    complete: u64,
    /// The other results of each frame; empty as long as there are none.
    partial: Vec<Reached>,
}

impl BroadcastBatch {
    fn new(job: BroadcastJob) -> Self {
        Self {
            audience: job.audience,
            except: job.except,
            frames: FrameBatch::new(job.frame, job.sum),
            complete: 0,
            partial: Vec::new(),
        }
    }

    fn is_for(&self, job: &BroadcastJob) -> bool {
        Arc::ptr_eq(&self.audience, &job.audience) && self.except == job.except
    }

    fn send_slice(&mut self, slice: usize) {
        let (audience, except) = (Arc::clone(&self.audience), self.except.clone());
        let slice = audience.chunks(SLICE).nth(slice).unwrap_or_default();
        for conn in receivers(slice, except.as_ref()) {
            self.deliver(conn);
        }
    }

    fn deliver(&mut self, conn: &Arc<ConnectionInner>) {
        let failed = conn.send_batch(&self.frames);
        if failed.is_empty() {
            self.complete += 1;
            return;
        }
        // The exception: count frame by frame.
        self.partial.resize(self.frames.len(), Reached::default());
        for reached in &mut self.partial {
            reached.delivered += 1;
        }
        for (i, delivery) in failed {
            self.partial[i].delivered -= 1;
            self.partial[i].record(delivery);
        }
    }

    /// Adds the results to the outcome of each frame.
    fn finish(self) {
        for (i, sum) in self.frames.tags().enumerate() {
            let mut part = self.partial.get(i).copied().unwrap_or_default();
            part.delivered += self.complete;
            sum.add_part(part);
        }
    }
}

/// Those of an audience who are not excluded.
fn receivers<'a>(
    audience: &'a [Arc<ConnectionInner>],
    except: Option<&'a ExcludedIds>,
) -> impl Iterator<Item = &'a Arc<ConnectionInner>> {
    let excluded = move |conn: &ConnectionInner| {
        except.is_some_and(|ids| ids.iter().any(|id| **id == *conn.id))
    };
    audience.iter().filter(move |conn| !excluded(conn))
}
