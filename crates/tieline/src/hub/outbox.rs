//! A connection's bounded queue of frames.
//!
//! Owns the frames that wait for one client, in order, and how much of the first one has been written.
//! Must not know sockets: it writes through a function that takes slices and returns how many bytes it
//! took. Invariants: `bytes` is what is queued and not written; a frame that has begun to leave is
//! discarded only with all others, when the connection ends; one frame always fits an empty outbox; at most
//! one pong waits beside the queue; either all queued frames count against the node's budget, or none.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, IoSlice},
};

use tieline_websocket::{AnyFrame, Deflate, FrameKind};

pub(crate) use self::{
    bounds::{BoundsSlot, OwnBounds},
    rules::OutboxRules,
};
use super::reports::Reports;
use crate::{delivery::Delivery, written::WriteOutcome};

mod bounds;
mod discard;
mod fits;
mod rules;

/// Frames of up to this many bytes in total are copied together and leave in one plain write; above it,
/// slices of the frames leave in a vectored write, where each slice costs more than copying a short frame.
const MAX_JOINED: usize = 16 * 1024;

/// Slices of one vectored write: two per frame.
const SLICES: usize = 32;

/// Slots that an empty queue keeps: 32 bytes, so that a connection whose messages are answered one by one
/// does not allocate a queue for each.
const KEPT_SLOTS: usize = 4;

/// Queues that a thread keeps for outboxes that need more, and the most slots of such a queue: a poll that
/// answers several messages of several clients does not allocate. 32 KiB per thread.
const SPARE_QUEUES: usize = 64;
const SPARE_SLOTS: usize = 64;

thread_local! {
    static JOINED: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(MAX_JOINED));
    static SPARE: RefCell<Vec<VecDeque<AnyFrame>>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<AnyFrame>,
    /// Bytes of the first frame that have left.
    written: usize,
    bytes: usize,
    pong: Option<AnyFrame>,
    flags: Flags,
    slot: BoundsSlot,
    /// Frames that were delivered and are not in the counters yet.
    uncounted: u8,
    /// Bytes that have left since the client was last read from while this was half full.
    left: u32,
}

/// What is either so or not, in one byte.
#[derive(Debug, Clone, Copy, Default)]
struct Flags(u8);

impl Flags {
    /// The client negotiated compression.
    const COMPRESS: Self = Self(1);
    /// What is queued counts against the budget.
    const COUNTED: Self = Self(1 << 1);
    /// A tracked frame may be queued; otherwise frames are not looked at when they leave.
    const TRACKS: Self = Self(1 << 2);

    #[inline]
    fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    #[inline]
    fn set(&mut self, flag: Self, on: bool) {
        self.0 = if on {
            self.0 | flag.0
        } else {
            self.0 & !flag.0
        };
    }
}

/// The result of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Nothing is left.
    All,
    /// More is left.
    Some,
    /// The socket is full.
    Blocked,
}

/// Writes some of the slices and returns how many bytes; `WouldBlock` if it can take none now.
pub(crate) type Write<'a> = &'a mut dyn FnMut(&[IoSlice<'_>]) -> io::Result<usize>;

impl Outbox {
    /// An empty outbox with these bounds; `compress` if the client negotiated compression.
    pub(crate) fn new(compress: bool, slot: BoundsSlot) -> Self {
        let mut flags = Flags::default();
        flags.set(Flags::COMPRESS, compress);
        Self {
            flags,
            slot,
            ..Self::default()
        }
    }

    /// An empty one for the same client.
    pub(crate) fn another(&self) -> Self {
        Self::new(self.flags.has(Flags::COMPRESS), self.slot)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.pong.is_none()
    }

    /// How many frames wait, without a pong.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes that the client is read from.
    pub(crate) fn note_reading(&mut self) {
        self.left = 0;
    }

    /// Appends a frame. Callers check [`Outbox::fits`] first, except for control frames. The frame must be
    /// compressed already where the client wants that: here, a lock is held.
    pub(crate) fn push(&mut self, frame: impl Into<AnyFrame>, rules: &OutboxRules) {
        let frame = frame.into();
        self.bytes += self.length(&frame, rules);
        if self.queue.capacity() == 0 {
            self.queue = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        }
        if self.is_counted() {
            rules.budget.add([&frame]);
        }
        if frame.tag().is_some() {
            self.flags.set(Flags::TRACKS, true);
        }
        self.queue.push_back(frame);
    }

    /// Appends a frame of which `written` bytes have left already to an empty outbox.
    pub(crate) fn push_rest(&mut self, frame: AnyFrame, written: usize, rules: &OutboxRules) {
        debug_assert!(self.queue.is_empty(), "only the first frame can have begun");
        self.push(frame, rules);
        self.written = written;
        self.bytes -= written;
    }

    /// Appends all that another outbox holds.
    pub(crate) fn append(&mut self, mut other: Self, rules: &OutboxRules) {
        if other.is_counted() {
            rules.budget.subtract(&other.queue);
        }
        for frame in other.queue.drain(..) {
            self.push(frame, rules);
        }
    }

    fn is_counted(&self) -> bool {
        self.flags.has(Flags::COUNTED)
    }

    /// Counts what is queued against the budget, until it has left.
    pub(crate) fn count(&mut self, rules: &OutboxRules) {
        if !self.is_counted() && !self.queue.is_empty() {
            self.flags.set(Flags::COUNTED, true);
            rules.budget.add(&self.queue);
        }
    }

    /// Notes that a frame was delivered. Counted with what leaves, or by the next
    /// [`Outbox::count_delivered`]: by itself for each frame it would cost more.
    pub(crate) fn note_delivered(&mut self, rules: &OutboxRules) {
        self.uncounted += 1;
        if self.uncounted == u8::MAX {
            self.count_delivered(rules);
        }
    }

    /// Counts what was noted as delivered.
    pub(crate) fn count_delivered(&mut self, rules: &OutboxRules) {
        if self.uncounted > 0 {
            let delivered = std::mem::take(&mut self.uncounted);
            rules
                .counters
                .deliveries(Delivery::Delivered, delivered.into());
        }
    }

    /// Sets the one pending pong; a newer one replaces it (RFC 6455, 5.5.3).
    pub(crate) fn set_pong(&mut self, pong: AnyFrame) {
        self.pong = Some(pong);
    }

    pub(crate) fn has_pong(&self) -> bool {
        self.pong.is_some()
    }

    /// Calls `write` once with the first of what waits, unless nothing does. Notes the tracked frames that it took.
    pub(crate) fn write(
        &mut self,
        rules: &OutboxRules,
        reports: &mut Reports,
        write: Write<'_>,
    ) -> io::Result<Written> {
        self.promote_pong(rules);
        if !self.queue.is_empty() {
            match self.write_front(rules, write) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.advance(n, rules, reports),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Written::Blocked),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if !self.is_empty() {
            return Ok(Written::Some);
        }
        self.flags.set(Flags::TRACKS, false);
        self.release();
        Ok(Written::All)
    }

    /// Moves the pong before all frames that have not begun to leave. The queue holds at most one, so that a
    /// client that pings without reading piles nothing up.
    fn promote_pong(&mut self, rules: &OutboxRules) {
        if self.pong_queued() {
            return;
        }
        if let Some(pong) = self.pong.take() {
            self.bytes += self.length(&pong, rules);
            if self.is_counted() {
                rules.budget.add([&pong]);
            }
            self.queue.insert(usize::from(self.written > 0), pong);
        }
    }

    fn write_front(&self, rules: &OutboxRules, write: Write<'_>) -> io::Result<usize> {
        if self.length(&self.queue[0], rules) - self.written <= MAX_JOINED {
            self.write_joined(rules, write)
        } else {
            self.write_vectored(rules, write)
        }
    }

    fn write_joined(&self, rules: &OutboxRules, write: Write<'_>) -> io::Result<usize> {
        JOINED.with_borrow_mut(|joined| {
            joined.clear();
            let (mut skip, deflate) = (self.written, self.deflate(rules));
            for frame in &self.queue {
                let [header, payload] = tail(frame, skip, deflate);
                if joined.len() + header.len() + payload.len() > MAX_JOINED {
                    break;
                }
                joined.extend_from_slice(header);
                joined.extend_from_slice(payload);
                skip = 0;
            }
            write(&[IoSlice::new(joined)])
        })
    }

    fn write_vectored(&self, rules: &OutboxRules, write: Write<'_>) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        let (mut skip, deflate) = (self.written, self.deflate(rules));
        for (frame, pair) in self.queue.iter().zip(slices.chunks_exact_mut(2)) {
            let [header, payload] = tail(frame, skip, deflate);
            pair[0] = IoSlice::new(header);
            pair[1] = IoSlice::new(payload);
            used += 2;
            skip = 0;
        }
        write(&slices[..used])
    }

    fn advance(&mut self, mut n: usize, rules: &OutboxRules, reports: &mut Reports) {
        self.bytes -= n;
        let left = u32::try_from(n).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(left);
        let (bytes, frames) = (n, self.queue.len());
        if self.bytes == 0 && !self.is_counted() {
            // Most often, all has left.
            self.report_all(WriteOutcome::Written, reports);
            // For a few frames cheaper than `clear`.
            while self.queue.pop_front().is_some() {}
            (self.written, n) = (0, 0);
        }
        while n > 0 {
            let rest = self.length(&self.queue[0], rules) - self.written;
            if n < rest {
                self.written += n;
                break;
            }
            n -= rest;
            self.written = 0;
            if let Some(frame) = self.queue.pop_front() {
                self.report(&frame, WriteOutcome::Written, reports);
                self.subtract(&frame, rules);
            }
        }
        let frames = frames - self.queue.len();
        let delivered = std::mem::take(&mut self.uncounted);
        rules.counters.left(delivered.into(), frames as u64, bytes);
    }

    /// Takes a frame that has left the queue out of the budget.
    fn subtract(&mut self, frame: &AnyFrame, rules: &OutboxRules) {
        if self.is_counted() {
            rules.budget.subtract([frame]);
            self.flags.set(Flags::COUNTED, !self.queue.is_empty());
        }
    }

    /// Whether a pong is in the queue: it is first, or behind a frame that has begun to leave.
    fn pong_queued(&self) -> bool {
        let mut front = self.queue.iter().take(2);
        front.any(|frame| frame.kind() == FrameKind::Pong)
    }

    /// Frees the queue if it is empty.
    pub(crate) fn release_all(&mut self) {
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    fn release(&mut self) {
        if self.queue.capacity() <= KEPT_SLOTS {
            return;
        }
        let queue = std::mem::take(&mut self.queue);
        SPARE.with_borrow_mut(|spare| {
            if queue.capacity() <= SPARE_SLOTS && spare.len() < SPARE_QUEUES {
                spare.push(queue);
            }
        });
    }

    #[inline]
    fn length(&self, frame: &AnyFrame, rules: &OutboxRules) -> usize {
        frame.encoded_len(self.deflate(rules))
    }

    #[inline]
    fn deflate<'a>(&self, rules: &'a OutboxRules) -> Option<&'a Deflate> {
        if self.flags.has(Flags::COMPRESS) {
            rules.deflate.as_ref()
        } else {
            None
        }
    }
}

/// A frame's header and payload without their first `skip` bytes.
#[inline]
fn tail<'a>(frame: &'a AnyFrame, skip: usize, deflate: Option<&Deflate>) -> [&'a [u8]; 2] {
    let encoded = frame.encoded(deflate);
    if skip == 0 {
        return [encoded.header, encoded.payload];
    }
    let of_header = skip.min(encoded.header.len());
    [
        &encoded.header[of_header..],
        &encoded.payload[skip - of_header..],
    ]
}

#[cfg(test)]
mod tests;
