//! A connection's bounded queue of frames.
//!
//! Owns the frames that wait for one client, in order, and how much of the first one has been written.
//! Must not know sockets: it writes through a function that takes slices and returns how many bytes it
//! took. Invariants: `bytes` is what is queued and not written; a frame that has begun to leave is never
//! discarded; one frame always fits an empty outbox; at most one pong waits beside the queue.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, IoSlice},
    sync::Arc,
};

use tieline_websocket::{AnyFrame, Deflate, Frame, FrameKind};

use crate::config::Config;

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
    /// Behind a pointer, because every idle connection carries it.
    deflate: Option<Arc<Deflate>>,
}

/// The result of a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing is left.
    Empty,
    /// The socket is full.
    Blocked,
}

/// Writes some of the slices and returns how many bytes; `WouldBlock` if it can take none now.
pub(crate) type Write<'a> = &'a mut dyn FnMut(&[IoSlice<'_>]) -> io::Result<usize>;

impl Outbox {
    /// An empty outbox, with `deflate` if the client negotiated compression.
    pub(crate) fn new(deflate: Option<Arc<Deflate>>) -> Self {
        Self {
            deflate,
            ..Self::default()
        }
    }

    pub(crate) fn deflate(&self) -> Option<&Deflate> {
        self.deflate.as_deref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.pong.is_none()
    }

    /// Whether one more frame stays within the bounds.
    pub(crate) fn fits(&self, frame: &AnyFrame, bytes: usize, frames: usize) -> bool {
        self.queue.is_empty()
            || (self.queue.len() < frames && self.bytes + self.length(frame) <= bytes)
    }

    /// Whether it is so near to its bounds that it should be written before the cork ends.
    pub(crate) fn is_half_full(&self, config: &Config) -> bool {
        self.bytes >= config.outbox_bytes / 2
            || self.queue.len() >= config.outbox_frames.div_ceil(2)
    }

    /// Appends a frame. Callers check [`Outbox::fits`] first, except for control frames.
    pub(crate) fn push(&mut self, frame: impl Into<AnyFrame>) {
        let frame = frame.into();
        self.bytes += self.length(&frame);
        if self.queue.capacity() == 0 {
            self.queue = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        }
        self.queue.push_back(frame);
    }

    /// Appends a frame of which `written` bytes have left already to an empty outbox.
    pub(crate) fn push_rest(&mut self, frame: Frame, written: usize) {
        debug_assert!(self.queue.is_empty(), "only the first frame can have begun");
        self.push(frame);
        self.written = written;
        self.bytes -= written;
    }

    /// Sets the one pending pong; a newer one replaces it (RFC 6455, 5.5.3).
    pub(crate) fn set_pong(&mut self, pong: AnyFrame) {
        self.pong = Some(pong);
    }

    pub(crate) fn has_pong(&self) -> bool {
        self.pong.is_some()
    }

    /// Discards the oldest frame that has not begun to leave; false if there is none.
    pub(crate) fn discard_oldest(&mut self) -> bool {
        match self.queue.remove(usize::from(self.written > 0)) {
            Some(frame) => {
                self.bytes -= self.length(&frame);
                true
            }
            None => false,
        }
    }

    /// Discards everything that has not begun to leave.
    pub(crate) fn discard_waiting(&mut self) {
        self.pong = None;
        while self.discard_oldest() {}
    }

    /// Writes until nothing waits or the socket blocks.
    pub(crate) fn flush(&mut self, write: Write<'_>) -> io::Result<Flushed> {
        loop {
            self.promote_pong();
            if self.queue.is_empty() {
                self.release();
                return Ok(Flushed::Empty);
            }
            match self.write_front(write) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.advance(n),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Flushed::Blocked),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Moves the pong before all frames that have not begun to leave. The queue holds at most one, so that a
    /// client that pings without reading piles nothing up.
    fn promote_pong(&mut self) {
        if self.pong_queued() {
            return;
        }
        if let Some(pong) = self.pong.take() {
            self.bytes += self.length(&pong);
            self.queue.insert(usize::from(self.written > 0), pong);
        }
    }

    fn write_front(&self, write: Write<'_>) -> io::Result<usize> {
        if self.length(&self.queue[0]) - self.written <= MAX_JOINED {
            self.write_joined(write)
        } else {
            self.write_vectored(write)
        }
    }

    fn write_joined(&self, write: Write<'_>) -> io::Result<usize> {
        JOINED.with_borrow_mut(|joined| {
            joined.clear();
            let mut skip = self.written;
            for frame in &self.queue {
                let [header, payload] = self.tail(frame, skip);
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

    fn write_vectored(&self, write: Write<'_>) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        let mut skip = self.written;
        for (frame, pair) in self.queue.iter().zip(slices.chunks_exact_mut(2)) {
            let [header, payload] = self.tail(frame, skip);
            pair[0] = IoSlice::new(header);
            pair[1] = IoSlice::new(payload);
            used += 2;
            skip = 0;
        }
        write(&slices[..used])
    }

    /// A frame's header and payload without their first `skip` bytes.
    fn tail<'a>(&self, frame: &'a AnyFrame, skip: usize) -> [&'a [u8]; 2] {
        let encoded = frame.encoded(self.deflate());
        let of_header = skip.min(encoded.header.len());
        [
            &encoded.header[of_header..],
            &encoded.payload[skip - of_header..],
        ]
    }

    fn advance(&mut self, mut n: usize) {
        self.bytes -= n;
        while n > 0 {
            let rest = self.length(&self.queue[0]) - self.written;
            if n < rest {
                self.written += n;
                return;
            }
            n -= rest;
            self.written = 0;
            self.queue.pop_front();
        }
    }

    /// Whether a pong is in the queue: it is first, or behind a frame that has begun to leave.
    fn pong_queued(&self) -> bool {
        let mut front = self.queue.iter().take(2);
        front.any(|frame| frame.kind() == FrameKind::Pong)
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

    fn length(&self, frame: &AnyFrame) -> usize {
        frame.encoded(self.deflate()).len()
    }
}

#[cfg(test)]
mod tests;
