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

use super::{member::Member, shard::Audience, turn::Turn};
use crate::{CloseReason, Delivery, Reached, Receipt, receipt::Tally};

/// Connections that the worker serves before it lets others run: about 0.2 ms of sends.
const SLICE: usize = 64;

/// An audience this small is served by the caller, if nothing waits: waking the worker would cost as
/// much as the sends.
const AT_ONCE: usize = 32;

/// Places that an empty queue keeps.
const KEPT: usize = 64;

/// Most frames, and most bytes, that are joined.
const RUN_FRAMES: usize = 256;
const RUN_BYTES: usize = 64 * 1024;

/// Client ids that are left out.
pub(crate) type Except = Arc<[Arc<str>]>;

/// A message on its way to an audience.
pub(super) struct Post {
    pub(super) audience: Audience,
    pub(super) except: Option<Except>,
    pub(super) frame: Frame,
    pub(super) tally: Arc<Tally>,
}

/// What waits for the worker.
enum Waiting {
    Post(Post),
    /// A message to one that must not overtake what was sent to many before it.
    One(Arc<Member>, Frame, Arc<Tally>),
    /// A close that must not either.
    Close(Arc<Member>, CloseReason),
}

impl Waiting {
    fn length(&self) -> usize {
        match self {
            Self::Post(Post { frame, .. }) | Self::One(_, frame, _) => frame.payload().len(),
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

pub(super) struct Queue {
    line: Mutex<Line>,
    /// What waits or is being delivered.
    pending: AtomicUsize,
    bell: Notify,
    bounds: Bounds,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            line: Mutex::default(),
            pending: AtomicUsize::new(0),
            bell: Notify::new(),
            bounds,
        }
    }

    /// Whether nothing waits, so that a message to one connection may go straight to its outbox.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0
    }

    /// Delivers to few at once, if nothing waits; inside a turn the frames leave when it ends. `None`
    /// where the message must be posted.
    pub(super) fn deliver_at_once(
        &self,
        audience: &Audience,
        except: Option<&Except>,
        frame: &Frame,
    ) -> Option<Reached> {
        if audience.len() > AT_ONCE || !self.is_idle() {
            return None;
        }
        let mut reached = Reached::default();
        for member in receivers(audience, except) {
            reached.count(member.push(frame.clone()));
        }
        Some(reached)
    }

    /// Queues a message for the worker.
    pub(super) fn post(&self, post: Post) {
        if let Err(Waiting::Post(post)) = self.try_enqueue(Waiting::Post(post)) {
            let queue_full = receivers(&post.audience, post.except.as_ref()).count() as u64;
            post.tally.end_part(Reached {
                queue_full,
                ..Reached::default()
            });
        }
    }

    /// Queues a message to one, behind what waits.
    pub(super) fn post_one(&self, member: &Arc<Member>, frame: Frame) -> Receipt {
        let (tally, receipt) = Tally::new(1, Reached::default());
        match self.try_enqueue(Waiting::One(Arc::clone(member), frame, tally)) {
            Ok(()) => receipt,
            Err(_) => Receipt::decided(Delivery::QueueFull),
        }
    }

    /// Closes a connection, behind what was sent to it before. Closes are not refused: there is one
    /// per connection.
    pub(super) fn close(&self, member: &Arc<Member>, reason: CloseReason) {
        if self.is_idle() {
            member.close(reason);
        } else if member.leave() {
            let close = Waiting::Close(Arc::clone(member), reason);
            self.enqueue(self.line.lock(), close);
        }
    }

    /// Queues within the bounds; gives back what does not fit.
    fn try_enqueue(&self, waiting: Waiting) -> Result<(), Waiting> {
        let line = self.line.lock();
        let fits = line.waiting.len() < self.bounds.frames
            && line.bytes + waiting.length() <= self.bounds.bytes;
        if !fits {
            return Err(waiting);
        }
        self.enqueue(line, waiting);
        Ok(())
    }

    fn enqueue(&self, mut line: MutexGuard<'_, Line>, waiting: Waiting) {
        line.bytes += waiting.length();
        line.waiting.push_back(waiting);
        self.pending.fetch_add(1, Ordering::AcqRel);
        drop(line);
        self.bell.notify_one();
    }

    /// Delivers what is posted, for ever.
    pub(super) async fn work(&self) {
        loop {
            self.bell.notified().await;
            loop {
                let ones = self.deliver_ones();
                self.pending.fetch_sub(ones, Ordering::AcqRel);
                match self.next_run() {
                    Some(run) => {
                        let posts = self.deliver(run).await;
                        self.pending.fetch_sub(posts, Ordering::AcqRel);
                    }
                    // What came meanwhile has rung the bell again.
                    None if ones == 0 => break,
                    None => tokio::task::yield_now().await,
                }
            }
        }
    }

    /// Does at once all that waits for one connection each, up to the next message to many: it is work
    /// that the senders would have done themselves, and were it shared out among turns of the worker,
    /// senders could add to it faster than it shrinks. What is added meanwhile waits for the next call: an
    /// outcome may have the next message sent. A turn, so that each receiver is flushed once.
    fn deliver_ones(&self) -> usize {
        let _turn = Turn::enter();
        let most = self.line.lock().waiting.len();
        let mut done = 0;
        while done < most
            && let Some(one) = self.next_if(|waiting| !matches!(waiting, Waiting::Post(_)))
        {
            match one {
                Waiting::One(member, frame, tally) => {
                    let mut reached = Reached::default();
                    reached.count(member.push(frame));
                    tally.end_part(reached);
                }
                Waiting::Close(member, reason) => member.close(reason),
                Waiting::Post(_) => {}
            }
            done += 1;
        }
        done
    }

    /// Delivers a run slice by slice; says how many posts it was.
    async fn deliver(&self, mut run: Run) -> usize {
        for slice in 0..run.audience.len().div_ceil(SLICE) {
            run.deliver_slice(slice);
            tokio::task::yield_now().await;
        }
        let posts = run.frames.len();
        run.end();
        posts
    }

    /// The next message to many, and those behind it that are for the same audience.
    fn next_run(&self) -> Option<Run> {
        let is_post = |waiting: &Waiting| matches!(waiting, Waiting::Post(_));
        let Some(Waiting::Post(first)) = self.next_if(is_post) else {
            return None;
        };
        let mut bytes = first.frame.payload().len();
        let mut run = Run::of(first);
        while run.frames.len() < RUN_FRAMES
            && let Some(Waiting::Post(next)) = self.next_if(|waiting| {
                let fits = bytes + waiting.length() <= RUN_BYTES;
                fits && matches!(waiting, Waiting::Post(post) if run.is_for(post))
            })
        {
            bytes += next.frame.payload().len();
            run.add(next);
        }
        Some(run)
    }

    fn next_if(&self, wanted: impl FnOnce(&Waiting) -> bool) -> Option<Waiting> {
        let mut line = self.line.lock();
        if !wanted(line.waiting.front()?) {
            return None;
        }
        let next = line.waiting.pop_front()?;
        line.bytes -= next.length();
        if line.waiting.is_empty() && line.waiting.capacity() > KEPT {
            line.waiting = VecDeque::new();
        }
        Some(next)
    }
}

/// Consecutive messages to one audience, joined.
pub(super) struct Run {
    audience: Audience,
    except: Option<Except>,
    frames: Vec<(Frame, Arc<Tally>)>,
    /// Connections that took every frame.
    whole: u64,
    /// What else became of each frame.
    failed: Vec<Reached>,
    plain: OnceCell<Vec<u8>>,
    deflated: OnceCell<Vec<u8>>,
}

impl Run {
    fn of(post: Post) -> Self {
        Self {
            audience: post.audience,
            except: post.except,
            frames: vec![(post.frame, post.tally)],
            whole: 0,
            failed: Vec::new(),
            plain: OnceCell::new(),
            deflated: OnceCell::new(),
        }
    }

    fn is_for(&self, post: &Post) -> bool {
        Arc::ptr_eq(&self.audience, &post.audience) && self.except == post.except
    }

    fn add(&mut self, post: Post) {
        self.frames.push((post.frame, post.tally));
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
                if bytes.len() + wire.len() > 2 * RUN_BYTES {
                    return Vec::new();
                }
                bytes.extend_from_slice(wire.header);
                bytes.extend_from_slice(wire.payload);
            }
            bytes
        });
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Whether this many bytes are all that [`Run::joined`] has.
    pub(super) fn is_whole(&self, written: usize, deflate: Option<&Deflate>) -> bool {
        written > 0 && self.joined(deflate).map(<[u8]>::len) == Some(written)
    }

    fn deliver_slice(&mut self, slice: usize) {
        let (audience, except) = (Arc::clone(&self.audience), self.except.clone());
        let slice = audience.chunks(SLICE).nth(slice).unwrap_or_default();
        for member in receivers(slice, except.as_ref()) {
            self.deliver(member);
        }
    }

    fn deliver(&mut self, member: &Arc<Member>) {
        let failed = member.push_run(self);
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
        for (i, (_, tally)) in self.frames.iter().enumerate() {
            let mut part = self.failed.get(i).copied().unwrap_or_default();
            part.delivered += self.whole;
            tally.end_part(part);
        }
    }
}

/// Who of an audience is not left out.
fn receivers<'a>(
    audience: &'a [Arc<Member>],
    except: Option<&'a Except>,
) -> impl Iterator<Item = &'a Arc<Member>> {
    let left_out =
        move |member: &Member| except.is_some_and(|ids| ids.iter().any(|id| **id == *member.id));
    audience.iter().filter(move |member| !left_out(member))
}
