//! Messages to many: a queue and a worker per shard.
//!
//! Owns the order between messages to many and messages to one. Knows nothing of who belongs where:
//! audiences come from the index. The worker takes what waits for one audience, joins it once, and
//! writes the joined bytes once per connection, a slice of connections at a time. Invariant: while
//! anything waits or is being delivered (`pending`), a message to a connection of this shard waits
//! behind it, so that what one task sends to one client arrives in the order of the calls.

use std::{
    cell::OnceCell,
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};
use tieline_websocket::{Deflate, Frame};
use tokio::sync::Notify;

use super::{cork::Cork, index::Audience, inner::ConnectionInner};
use crate::{CloseReason, Delivery, Reached, Receipt, receipt::OutcomeSum};

/// Connections that the worker serves before it lets others run: about 0.2 ms of sends.
const SLICE: usize = 64;

/// An audience this small is served by the caller, if nothing waits: waking the worker would cost as
/// much as the sends.
const INLINE_RECEIVERS: usize = 32;

/// Places that an empty queue keeps.
const KEPT_CAPACITY: usize = 64;

/// Most frames, and most bytes, that are joined.
const BATCH_FRAMES: usize = 256;
const BATCH_BYTES: usize = 64 * 1024;

/// Client ids that are left out.
pub(crate) type ExcludedIds = Arc<[Arc<str>]>;

/// A message on its way to an audience.
pub(super) struct BroadcastJob {
    pub(super) audience: Audience,
    pub(super) except: Option<ExcludedIds>,
    pub(super) frame: Frame,
    pub(super) sum: Arc<OutcomeSum>,
}

/// What waits for the worker.
enum QueuedSend {
    Broadcast(BroadcastJob),
    /// A message to one that must not overtake what was sent to many before it.
    Unicast(Arc<ConnectionInner>, Frame, Arc<OutcomeSum>),
    /// A close that must not either.
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

/// Bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: usize,
    pub(super) frames: usize,
}

pub(super) struct ShardQueue {
    state: Mutex<QueueState>,
    /// What waits or is being delivered.
    pending: AtomicUsize,
    notify: Notify,
    bounds: Bounds,
}

#[derive(Default)]
struct QueueState {
    waiting: VecDeque<QueuedSend>,
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

    /// Whether nothing waits, so that a message to one connection may go straight to its outbox.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0
    }

    /// Delivers to few at once, if nothing waits; inside a turn the frames leave when it ends. `None`
    /// where the message must be posted.
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
            reached.count(conn.send(frame.clone()));
        }
        Some(reached)
    }

    /// Queues a message for the worker.
    pub(super) fn queue_broadcast(&self, job: BroadcastJob) {
        if let Err(QueuedSend::Broadcast(job)) = self.try_enqueue(QueuedSend::Broadcast(job)) {
            let queue_full = receivers(&job.audience, job.except.as_ref()).count() as u64;
            job.sum.add_part(Reached {
                queue_full,
                ..Reached::default()
            });
        }
    }

    /// Queues a message to one, behind what waits.
    pub(super) fn queue_unicast(&self, conn: &Arc<ConnectionInner>, frame: Frame) -> Receipt {
        let (sum, receipt) = OutcomeSum::new(1, Reached::default());
        match self.try_enqueue(QueuedSend::Unicast(Arc::clone(conn), frame, sum)) {
            Ok(()) => receipt,
            Err(_) => Receipt::decided(Delivery::QueueFull),
        }
    }

    /// Closes a connection, behind what was sent to it before. Closes are not refused: there is one
    /// per connection.
    pub(super) fn close(&self, conn: &Arc<ConnectionInner>, reason: CloseReason) {
        if self.is_idle() {
            conn.close(reason);
        } else if conn.request_close() {
            let close = QueuedSend::Close(Arc::clone(conn), reason);
            self.enqueue(self.state.lock(), close);
        }
    }

    /// Queues within the bounds; gives back what does not fit.
    fn try_enqueue(&self, waiting: QueuedSend) -> Result<(), QueuedSend> {
        let state = self.state.lock();
        let fits = state.waiting.len() < self.bounds.frames
            && state.bytes + waiting.length() <= self.bounds.bytes;
        if !fits {
            return Err(waiting);
        }
        self.enqueue(state, waiting);
        Ok(())
    }

    fn enqueue(&self, mut state: MutexGuard<'_, QueueState>, waiting: QueuedSend) {
        state.bytes += waiting.length();
        state.waiting.push_back(waiting);
        self.pending.fetch_add(1, Ordering::AcqRel);
        drop(state);
        self.notify.notify_one();
    }

    /// Delivers what is posted, for ever.
    pub(super) async fn work(&self) {
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
                    // What came meanwhile has rung the bell again.
                    None if unicasts == 0 => break,
                    None => tokio::task::yield_now().await,
                }
            }
        }
    }

    /// Does at once all that waits for one connection each, up to the next message to many: it is work
    /// that the senders would have done themselves, and were it shared out among turns of the worker,
    /// senders could add to it faster than it shrinks. What is added meanwhile waits for the next call: an
    /// outcome may have the next message sent. A turn, so that each receiver is flushed once.
    fn drain_unicasts(&self) -> usize {
        let _cork = Cork::new();
        let most = self.state.lock().waiting.len();
        let mut done = 0;
        while done < most
            && let Some(next) = self.next_if(|waiting| !matches!(waiting, QueuedSend::Broadcast(_)))
        {
            match next {
                QueuedSend::Unicast(conn, frame, sum) => {
                    let mut reached = Reached::default();
                    reached.count(conn.send(frame));
                    sum.add_part(reached);
                }
                QueuedSend::Close(conn, reason) => conn.close(reason),
                QueuedSend::Broadcast(_) => {}
            }
            done += 1;
        }
        done
    }

    /// Delivers a run slice by slice; says how many posts it was.
    async fn deliver(&self, mut batch: FrameBatch) -> usize {
        for slice in 0..batch.audience.len().div_ceil(SLICE) {
            batch.send_slice(slice);
            tokio::task::yield_now().await;
        }
        let jobs = batch.frames.len();
        batch.end();
        jobs
    }

    /// The next message to many, and those behind it that are for the same audience.
    fn next_batch(&self) -> Option<FrameBatch> {
        let is_broadcast = |waiting: &QueuedSend| matches!(waiting, QueuedSend::Broadcast(_));
        let Some(QueuedSend::Broadcast(first)) = self.next_if(is_broadcast) else {
            return None;
        };
        let mut bytes = first.frame.payload().len();
        let mut batch = FrameBatch::of(first);
        while batch.frames.len() < BATCH_FRAMES
            && let Some(QueuedSend::Broadcast(next)) = self.next_if(|waiting| {
                let fits = bytes + waiting.length() <= BATCH_BYTES;
                fits && matches!(waiting, QueuedSend::Broadcast(job) if batch.is_for(job))
            })
        {
            bytes += next.frame.payload().len();
            batch.add(next);
        }
        Some(batch)
    }

    fn next_if(&self, wanted: impl FnOnce(&QueuedSend) -> bool) -> Option<QueuedSend> {
        let mut state = self.state.lock();
        if !wanted(state.waiting.front()?) {
            return None;
        }
        let next = state.waiting.pop_front()?;
        state.bytes -= next.length();
        if state.waiting.is_empty() && state.waiting.capacity() > KEPT_CAPACITY {
            state.waiting = VecDeque::new();
        }
        Some(next)
    }
}

/// Consecutive messages to one audience, joined.
pub(super) struct FrameBatch {
    audience: Audience,
    except: Option<ExcludedIds>,
    frames: Vec<(Frame, Arc<OutcomeSum>)>,
    /// Connections that took every frame.
    whole: u64,
    /// What else became of each frame.
    failed: Vec<Reached>,
    plain: OnceCell<Vec<u8>>,
    deflated: OnceCell<Vec<u8>>,
}

impl FrameBatch {
    fn of(job: BroadcastJob) -> Self {
        Self {
            audience: job.audience,
            except: job.except,
            frames: vec![(job.frame, job.sum)],
            whole: 0,
            failed: Vec::new(),
            plain: OnceCell::new(),
            deflated: OnceCell::new(),
        }
    }

    fn is_for(&self, job: &BroadcastJob) -> bool {
        Arc::ptr_eq(&self.audience, &job.audience) && self.except == job.except
    }

    fn add(&mut self, job: BroadcastJob) {
        self.frames.push((job.frame, job.sum));
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter().map(|(frame, _)| frame)
    }

    /// The frames' wire bytes in one piece; `None` where they are too long to be worth a copy.
    pub(super) fn joined(&self, deflate: Option<&Deflate>) -> Option<&[u8]> {
        let joined = if deflate.is_some() {
            &self.deflated
        } else {
            &self.plain
        };
        let bytes = joined.get_or_init(|| {
            let mut bytes = Vec::new();
            for frame in self.frames() {
                let wire = frame.encoded(deflate);
                if bytes.len() + wire.len() > 2 * BATCH_BYTES {
                    return Vec::new();
                }
                bytes.extend_from_slice(wire.header);
                bytes.extend_from_slice(wire.payload);
            }
            bytes
        });
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Whether this many bytes are all that [`FrameBatch::joined`] has.
    pub(super) fn is_whole(&self, written: usize, deflate: Option<&Deflate>) -> bool {
        written > 0 && self.joined(deflate).map(<[u8]>::len) == Some(written)
    }

    fn send_slice(&mut self, slice: usize) {
        let (audience, except) = (Arc::clone(&self.audience), self.except.clone());
        let slice = audience.chunks(SLICE).nth(slice).unwrap_or_default();
        for conn in receivers(slice, except.as_ref()) {
            self.deliver(conn);
        }
    }

    fn deliver(&mut self, conn: &Arc<ConnectionInner>) {
        let failed = conn.send_batch(self);
        if failed.is_empty() {
            self.whole += 1;
            return;
        }
        // The exception: count frame by frame.
        self.failed.resize(self.frames.len(), Reached::default());
        for reached in &mut self.failed {
            reached.delivered += 1;
        }
        for (i, delivery) in failed {
            self.failed[i].delivered -= 1;
            self.failed[i].count(delivery);
        }
    }

    /// Tells each frame's tally what became of it.
    fn end(self) {
        for (i, (_, sum)) in self.frames.iter().enumerate() {
            let mut part = self.failed.get(i).copied().unwrap_or_default();
            part.delivered += self.whole;
            sum.add_part(part);
        }
    }
}

/// Who of an audience is not left out.
fn receivers<'a>(
    audience: &'a [Arc<ConnectionInner>],
    except: Option<&'a ExcludedIds>,
) -> impl Iterator<Item = &'a Arc<ConnectionInner>> {
    let left_out = move |conn: &ConnectionInner| {
        except.is_some_and(|ids| ids.iter().any(|id| **id == *conn.id))
    };
    audience.iter().filter(move |conn| !left_out(conn))
}
