//! What leaves for a client: every frame goes through the one lock of its connection's egress.
//!
//! Owns the order of what a client receives, the policy of a full outbox, and how a close begins. Knows
//! no protocol state. Invariants: after a close has begun nothing but its close frame is queued; the
//! first reason to close stays.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    task::Waker,
};

use tieline_websocket::Frame;
use tokio::net::tcp::OwnedWriteHalf;

use super::{
    broadcast::FrameBatch,
    cork::Cork,
    inner::{ConnectionInner, signal},
    outbox::{Flushed, Outbox},
};
use crate::{CloseReason, Config, Delivery, SlowConsumer};

pub(super) struct SendSide {
    pub(super) outbox: Outbox,
    pub(super) write_mode: WriteMode,
    pub(super) waker: Option<Waker>,
    pub(super) closing: Option<Box<CloseReason>>,
}

/// Where the outbox writes.
pub(super) enum WriteMode {
    /// The upgrade is not complete; frames wait.
    BeforeUpgrade,
    /// Whoever queues a frame may write it.
    Direct(OwnedWriteHalf),
    /// Only the connection's task writes (TLS, or a stream of unknown type).
    TaskOnly,
    /// The task has ended.
    Closed,
}

impl ConnectionInner {
    /// Queues a frame, or applies the policy of a full outbox. Inside a turn it leaves when the turn
    /// ends, else at once.
    pub(crate) fn send(self: &Arc<Self>, frame: Frame) -> Delivery {
        let mut send_side = self.send_side.lock();
        let delivery = self.enqueue(&mut send_side, frame);
        self.flush_or_cork(&mut send_side);
        delivery
    }

    /// Queues a run of frames, written as one where nothing waits; counts what was not delivered.
    pub(super) fn send_batch(self: &Arc<Self>, run: &FrameBatch) -> Vec<(usize, Delivery)> {
        let mut send_side = self.send_side.lock();
        let mut written = self.write_joined(&mut send_side, run);
        let mut failed = Vec::new();
        if run.is_whole(written, send_side.outbox.deflate()) {
            // Nearly always. Looking at each of sixteen frames would cost a fiftieth of the write.
            return failed;
        }
        for (i, frame) in run.frames().enumerate() {
            let length = frame.encoded(send_side.outbox.deflate()).len();
            if written >= length {
                written -= length;
            } else if written > 0 {
                send_side
                    .outbox
                    .push_rest(frame.clone(), std::mem::take(&mut written));
            } else {
                let delivery = self.enqueue(&mut send_side, frame.clone());
                if !delivery.is_delivered() {
                    failed.push((i, delivery));
                }
            }
        }
        if !send_side.outbox.is_empty() {
            self.flush_or_cork(&mut send_side);
        }
        failed
    }

    /// Writes the run straight to the socket where that keeps the order; says how many bytes left.
    fn write_joined(&self, send_side: &mut SendSide, run: &FrameBatch) -> usize {
        let WriteMode::Direct(socket) = &send_side.write_mode else {
            return 0;
        };
        if send_side.closing.is_some() || !send_side.outbox.is_empty() || self.has(signal::WRITE) {
            return 0;
        }
        // An error is met again, and dealt with, by the flush that follows.
        run.joined(send_side.outbox.deflate())
            .map_or(0, |bytes| socket.try_write(bytes).unwrap_or(0))
    }

    fn enqueue(&self, send_side: &mut SendSide, frame: Frame) -> Delivery {
        if send_side.closing.is_some() {
            return Delivery::Offline;
        }
        let Config {
            outbox_bytes: bytes,
            outbox_frames: frames,
            slow_consumer,
            ..
        } = self.context.config;
        if !send_side.outbox.fits(&frame, bytes, frames) {
            self.flush(send_side, true);
        }
        while !send_side.outbox.fits(&frame, bytes, frames) {
            match slow_consumer {
                SlowConsumer::DropOldest if send_side.outbox.discard_oldest() => {}
                SlowConsumer::DropOldest | SlowConsumer::DropNewest => return Delivery::Refused,
                SlowConsumer::Disconnect => {
                    self.begin_close(send_side, CloseReason::SlowConsumer, None);
                    return Delivery::Refused;
                }
            }
        }
        if send_side.closing.is_some() {
            return Delivery::Offline;
        }
        send_side.outbox.push(frame);
        Delivery::Delivered
    }

    /// Begins a close: the reason's close frame goes behind what waits, and the task is told. Later
    /// calls change nothing.
    pub(crate) fn close(self: &Arc<Self>, reason: CloseReason) {
        self.close_with(reason, None);
    }

    /// The same with a close frame that the protocol made.
    pub(crate) fn close_with(self: &Arc<Self>, reason: CloseReason, frame: Option<Frame>) {
        let mut send_side = self.send_side.lock();
        self.begin_close(&mut send_side, reason, frame);
        self.flush_or_cork(&mut send_side);
    }

    fn begin_close(&self, send_side: &mut SendSide, reason: CloseReason, frame: Option<Frame>) {
        if send_side.closing.is_some() {
            // One close frame a side: where closes cross, each is the other's answer.
            return;
        }
        if matches!(reason, CloseReason::SlowConsumer | CloseReason::Silent) {
            send_side.outbox.discard_waiting();
        }
        if let Some(goodbye) = frame.or_else(|| Some(Frame::close(Some(&reason.frame()?)))) {
            let ours = !matches!(reason, CloseReason::Client(_));
            if let Some(final_message) = self.final_message.filter(|_| ours) {
                // The application's code, under our lock: its panic must go no further.
                let final_message = catch_unwind(AssertUnwindSafe(|| final_message(&reason)));
                final_message
                    .into_iter()
                    .for_each(|frame| send_side.outbox.push(frame));
            }
            send_side.outbox.push(goodbye);
        }
        send_side.closing = Some(Box::new(reason));
        self.signal(send_side, signal::CLOSE);
    }

    /// Ends the connection without a handshake; the task ends at its next poll.
    pub(crate) fn abort(&self, reason: CloseReason) {
        let mut send_side = self.send_side.lock();
        self.begin_abort(&mut send_side, reason);
    }

    pub(super) fn begin_abort(&self, send_side: &mut SendSide, reason: CloseReason) {
        send_side.closing.get_or_insert_with(|| Box::new(reason));
        self.signal(send_side, signal::CLOSE | signal::ABORT);
    }

    /// Queues a pong; it leaves with the next flush, before what waits. One that still waits is
    /// written first, and replaced only where the socket takes nothing: every ping is answered, and
    /// pings without reading pile nothing up.
    pub(crate) fn pong(self: &Arc<Self>, pong: Frame) {
        let mut send_side = self.send_side.lock();
        if send_side.closing.is_none() {
            if send_side.outbox.has_pong() {
                self.flush(&mut send_side, true);
            }
            send_side.outbox.set_pong(pong);
            self.flush_or_cork(&mut send_side);
        }
    }

    pub(super) fn ping(self: &Arc<Self>) {
        let mut send_side = self.send_side.lock();
        if send_side.closing.is_none() {
            send_side.outbox.push(self.context.ping.clone());
            self.flush(&mut send_side, true);
        }
    }

    fn flush_or_cork(self: &Arc<Self>, send_side: &mut SendSide) {
        if !Cork::is_active() || send_side.outbox.is_half_full(&self.context.config) {
            self.flush(send_side, true);
        } else {
            Cork::add(self);
        }
    }

    /// The end of a turn that touched this connection.
    pub(super) fn flush_corked(&self) {
        let mut send_side = self.send_side.lock();
        self.flush(&mut send_side, true);
    }

    pub(super) fn flush(&self, send_side: &mut SendSide, wake: bool) {
        if send_side.outbox.is_empty() || self.has(signal::WRITE) {
            return;
        }
        let flushed = match &send_side.write_mode {
            WriteMode::BeforeUpgrade | WriteMode::Closed => return,
            WriteMode::TaskOnly => Ok(Flushed::Blocked),
            WriteMode::Direct(socket) => send_side.outbox.flush(&mut |slices| match slices {
                [one] => socket.try_write(one),
                many => socket.try_write_vectored(many),
            }),
        };
        match flushed {
            Ok(Flushed::Empty) if send_side.closing.is_none() => {}
            Ok(Flushed::Empty) => self.wake(send_side),
            Ok(Flushed::Blocked) => {
                self.signals.fetch_or(signal::WRITE, Ordering::AcqRel);
                if wake {
                    self.wake(send_side);
                }
            }
            Err(e) => self.begin_abort(send_side, CloseReason::Lost(e.kind())),
        }
    }

    fn signal(&self, send_side: &SendSide, bits: u8) {
        self.signals.fetch_or(bits, Ordering::AcqRel);
        self.wake(send_side);
    }

    #[expect(clippy::unused_self, reason = "reads as what happens to the member")]
    fn wake(&self, send_side: &SendSide) {
        if let Some(waker) = &send_side.waker {
            waker.wake_by_ref();
        }
    }
}
