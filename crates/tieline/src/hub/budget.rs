//! The memory that the outboxes of a node may take together.
//!
//! Owns the count of what waits, the bound, and the counts of clients that were closed for being slow. Must
//! not know connections: `shedding` closes them. Only what a socket has refused counts, so a message that
//! is written at once costs nothing here. Invariants: a frame counts once, in however many outboxes it waits;
//! what was added is what is subtracted, even if several hubs hold a frame.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use tieline_websocket::AnyFrame;
use tokio::sync::Notify;

/// What a frame takes besides its payload: its allocations, and its place in a queue.
pub(super) const FRAME_OVERHEAD: usize = 128;

#[derive(Debug)]
pub(crate) struct OutboxBudget {
    /// Tells the hubs of a process apart, which may send the same frame.
    id: u32,
    limit: usize,
    waiting: Padded,
    exceeded: Notify,
    slow_consumers: AtomicU64,
    shed: AtomicU64,
}

/// A counter in a cache line of its own: what stands beside it is read for each message.
#[derive(Debug)]
#[repr(align(128))]
struct Padded(AtomicUsize);

impl OutboxBudget {
    pub(crate) fn new(limit: usize) -> Self {
        static IDS: AtomicU32 = AtomicU32::new(0);
        Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            limit,
            waiting: Padded(AtomicUsize::new(0)),
            exceeded: Notify::new(),
            slow_consumers: AtomicU64::new(0),
            shed: AtomicU64::new(0),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes of frames that wait, each counted once.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.0.load(Ordering::Relaxed)
    }

    /// Counts frames that begin to wait in an outbox.
    pub(super) fn add<'a>(&self, frames: impl IntoIterator<Item = &'a AnyFrame>) {
        let firsts = parts(frames).filter(|frame| frame.retain(self.id));
        let bytes: usize = firsts.map(size).sum();
        if bytes > 0 && self.waiting.0.fetch_add(bytes, Ordering::Relaxed) + bytes > self.limit {
            self.exceeded.notify_one();
        }
    }

    /// Counts frames that have left an outbox.
    pub(super) fn subtract<'a>(&self, frames: impl IntoIterator<Item = &'a AnyFrame>) {
        let lasts = parts(frames).filter(|frame| frame.release(self.id));
        let bytes: usize = lasts.map(size).sum();
        if bytes > 0 {
            self.waiting.0.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Whether so much waits that every outbox with a waiting frame counts as full: shedding, which begins
    /// at the limit, does not keep up.
    pub(super) fn is_exhausted(&self) -> bool {
        self.waiting() > self.limit.saturating_add(self.limit / 8)
    }

    /// Waits until the limit is exceeded. Cancel-safe.
    pub(super) async fn exceeded(&self) {
        self.exceeded.notified().await;
    }

    /// How much must go for shedding to be worth its search: down to seven eighths of the limit.
    pub(super) fn excess(&self) -> usize {
        self.waiting().saturating_sub(self.limit - self.limit / 8)
    }

    pub(super) fn count_slow_consumer(&self) {
        self.slow_consumers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_shed(&self) {
        self.shed.fetch_add(1, Ordering::Relaxed);
    }

    /// Clients closed because their own outbox was full, and because of the budget.
    pub(super) fn closed(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.slow_consumers), load(&self.shed))
    }
}

/// The frames, and of numbered ones the part that they share with others.
fn parts<'a>(frames: impl IntoIterator<Item = &'a AnyFrame>) -> impl Iterator<Item = &'a AnyFrame> {
    let parts = |frame: &'a AnyFrame| [Some(frame), frame.rest().map(|rest| &**rest)];
    frames.into_iter().flat_map(parts).flatten()
}

fn size(frame: &AnyFrame) -> usize {
    frame.own_len() + FRAME_OVERHEAD
}

#[cfg(test)]
mod tests {
    use tieline_websocket::Frame;

    use super::*;

    #[test]
    fn a_frame_in_many_outboxes_counts_once() {
        let budget = OutboxBudget::new(1000);
        let frame = Frame::binary(vec![0; 500]);
        for _ in 0..3 {
            budget.add([&*frame]);
        }
        assert_eq!(budget.waiting(), 500 + FRAME_OVERHEAD);
        budget.subtract([&*frame, &frame]);
        assert_eq!(budget.waiting(), 500 + FRAME_OVERHEAD);
        budget.subtract([&*frame]);
        assert_eq!(budget.waiting(), 0);
    }

    #[test]
    fn hubs_that_share_a_frame_each_count_it() {
        let (one, other) = (OutboxBudget::new(1000), OutboxBudget::new(1000));
        let frame = Frame::binary(vec![0; 500]);
        let size = 500 + FRAME_OVERHEAD;
        one.add([&*frame, &frame]);
        other.add([&*frame]);
        one.subtract([&*frame, &frame]);
        assert_eq!((one.waiting(), other.waiting()), (0, size));
        other.add([&*frame]);
        one.add([&*frame]);
        other.subtract([&*frame, &frame]);
        assert_eq!((one.waiting(), other.waiting()), (size, 0));
        one.subtract([&*frame]);
        assert_eq!(one.waiting(), 0);
    }

    #[test]
    fn shedding_goes_below_the_limit_so_that_it_is_not_due_again_at_once() {
        let budget = OutboxBudget::new(800);
        let frame = Frame::binary(vec![0; 800 - FRAME_OVERHEAD]);
        budget.add([&*frame]);
        assert_eq!(budget.excess(), 100);
        assert!(!budget.is_exhausted());
        let more = Frame::binary(vec![0; 100]);
        budget.add([&*more]);
        assert!(budget.is_exhausted());
    }
}
