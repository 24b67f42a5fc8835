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
    broadcast::Run,
    member::{Member, signal},
    outbox::{Flushed, Outbox},
    turn::Turn,
};
use crate::{CloseReason, Config, Delivery, SlowConsumer};

pub(super) struct Egress {
    pub(super) outbox: Outbox,
    pub(super) sink: Sink,
    pub(super) waker: Option<Waker>,
    pub(super) closing: Option<Box<CloseReason>>,
}

/// Where the outbox writes.
pub(super) enum Sink {
    /// The upgrade is not complete; frames wait.
    Detached,
    /// Whoever queues a frame may write it.
    Direct(OwnedWriteHalf),
    /// Only the connection's task writes (TLS, or a stream of unknown type).
    Task,
    /// The task has ended.
    Gone,
}

impl Member {
    /// Queues a frame, or applies the policy of a full outbox. Inside a turn it leaves when the turn
    /// ends, else at once.
    pub(crate) fn push(self: &Arc<Self>, frame: Frame) -> Delivery {
        let mut egress = self.egress.lock();
        let delivery = self.enqueue(&mut egress, frame);
        self.flush_or_defer(&mut egress);
        delivery
    }

    /// Queues a run of frames, written as one where nothing waits; counts what was not delivered.
    pub(super) fn push_run(self: &Arc<Self>, run: &Run) -> Vec<(usize, Delivery)> {
        let mut egress = self.egress.lock();
        let mut written = self.write_joined(&mut egress, run);
        let mut failed = Vec::new();
        if run.is_whole(written, egress.outbox.deflate()) {
            // Nearly always. Looking at each of sixteen frames would cost a fiftieth of the write.
            return failed;
        }
        for (i, frame) in run.frames().enumerate() {
            let length = frame.encoded(egress.outbox.deflate()).len();
            if written >= length {
                written -= length;
            } else if written > 0 {
                egress
                    .outbox
                    .push_rest(frame.clone(), std::mem::take(&mut written));
            } else {
                let delivery = self.enqueue(&mut egress, frame.clone());
                if !delivery.is_delivered() {
                    failed.push((i, delivery));
                }
            }
        }
        if !egress.outbox.is_empty() {
            self.flush_or_defer(&mut egress);
        }
        failed
    }

    /// Writes the run straight to the socket where that keeps the order; says how many bytes left.
    fn write_joined(&self, egress: &mut Egress, run: &Run) -> usize {
        let Sink::Direct(socket) = &egress.sink else {
            return 0;
        };
        if egress.closing.is_some() || !egress.outbox.is_empty() || self.has(signal::WRITE) {
            return 0;
        }
        // An error is met again, and dealt with, by the flush that follows.
        run.joined(egress.outbox.deflate())
            .map_or(0, |bytes| socket.try_write(bytes).unwrap_or(0))
    }

    fn enqueue(&self, egress: &mut Egress, frame: Frame) -> Delivery {
        if egress.closing.is_some() {
            return Delivery::Offline;
        }
        let Config {
            outbox_bytes: bytes,
            outbox_frames: frames,
            slow_consumer,
            ..
        } = self.rules.config;
        if !egress.outbox.fits(&frame, bytes, frames) {
            self.flush(egress, true);
        }
        while !egress.outbox.fits(&frame, bytes, frames) {
            match slow_consumer {
                SlowConsumer::DropOldest if egress.outbox.discard_oldest() => {}
                SlowConsumer::DropOldest | SlowConsumer::DropNewest => return Delivery::Refused,
                SlowConsumer::Disconnect => {
                    self.begin_close(egress, CloseReason::SlowConsumer, None);
                    return Delivery::Refused;
                }
            }
        }
        if egress.closing.is_some() {
            return Delivery::Offline;
        }
        egress.outbox.push(frame);
        Delivery::Delivered
    }

    /// Begins a close: the reason's close frame goes behind what waits, and the task is told. Later
    /// calls change nothing.
    pub(crate) fn close(self: &Arc<Self>, reason: CloseReason) {
        self.close_with(reason, None);
    }

    /// The same with a close frame that the protocol made.
    pub(crate) fn close_with(self: &Arc<Self>, reason: CloseReason, frame: Option<Frame>) {
        let mut egress = self.egress.lock();
        self.begin_close(&mut egress, reason, frame);
        self.flush_or_defer(&mut egress);
    }

    fn begin_close(&self, egress: &mut Egress, reason: CloseReason, frame: Option<Frame>) {
        if egress.closing.is_some() {
            // One close frame a side: where closes cross, each is the other's answer.
            return;
        }
        if matches!(reason, CloseReason::SlowConsumer | CloseReason::Silent) {
            egress.outbox.discard_waiting();
        }
        if let Some(goodbye) = frame.or_else(|| Some(Frame::close(Some(&reason.frame()?)))) {
            let ours = !matches!(reason, CloseReason::Client(_));
            if let Some(farewell) = self.farewell.filter(|_| ours) {
                // The application's code, under our lock: its panic must go no further.
                let farewell = catch_unwind(AssertUnwindSafe(|| farewell(&reason)));
                farewell
                    .into_iter()
                    .for_each(|frame| egress.outbox.push(frame));
            }
            egress.outbox.push(goodbye);
        }
        egress.closing = Some(Box::new(reason));
        self.signal(egress, signal::CLOSE);
    }

    /// Ends the connection without a handshake; the task ends at its next poll.
    pub(crate) fn abort(&self, reason: CloseReason) {
        let mut egress = self.egress.lock();
        self.begin_abort(&mut egress, reason);
    }

    pub(super) fn begin_abort(&self, egress: &mut Egress, reason: CloseReason) {
        egress.closing.get_or_insert_with(|| Box::new(reason));
        self.signal(egress, signal::CLOSE | signal::ABORT);
    }

    /// Queues a pong; it leaves with the next flush, before what waits. One that still waits is
    /// written first, and replaced only where the socket takes nothing: every ping is answered, and
    /// pings without reading pile nothing up.
    pub(crate) fn pong(self: &Arc<Self>, pong: Frame) {
        let mut egress = self.egress.lock();
        if egress.closing.is_none() {
            if egress.outbox.has_pong() {
                self.flush(&mut egress, true);
            }
            egress.outbox.set_pong(pong);
            self.flush_or_defer(&mut egress);
        }
    }

    pub(super) fn ping(self: &Arc<Self>) {
        let mut egress = self.egress.lock();
        if egress.closing.is_none() {
            egress.outbox.push(self.rules.ping.clone());
            self.flush(&mut egress, true);
        }
    }

    fn flush_or_defer(self: &Arc<Self>, egress: &mut Egress) {
        if !Turn::is_running() || egress.outbox.is_half_full(&self.rules.config) {
            self.flush(egress, true);
        } else {
            Turn::defer(self);
        }
    }

    /// The end of a turn that touched this connection.
    pub(super) fn flush_touched(&self) {
        let mut egress = self.egress.lock();
        self.flush(&mut egress, true);
    }

    pub(super) fn flush(&self, egress: &mut Egress, wake: bool) {
        if egress.outbox.is_empty() || self.has(signal::WRITE) {
            return;
        }
        let flushed = match &egress.sink {
            Sink::Detached | Sink::Gone => return,
            Sink::Task => Ok(Flushed::Blocked),
            Sink::Direct(socket) => egress.outbox.flush(&mut |slices| match slices {
                [one] => socket.try_write(one),
                many => socket.try_write_vectored(many),
            }),
        };
        match flushed {
            Ok(Flushed::Empty) if egress.closing.is_none() => {}
            Ok(Flushed::Empty) => self.wake(egress),
            Ok(Flushed::Blocked) => {
                self.signals.fetch_or(signal::WRITE, Ordering::AcqRel);
                if wake {
                    self.wake(egress);
                }
            }
            Err(e) => self.begin_abort(egress, CloseReason::Lost(e.kind())),
        }
    }

    fn signal(&self, egress: &Egress, bits: u8) {
        self.signals.fetch_or(bits, Ordering::AcqRel);
        self.wake(egress);
    }

    #[expect(clippy::unused_self, reason = "reads as what happens to the member")]
    fn wake(&self, egress: &Egress) {
        if let Some(waker) = &egress.waker {
            waker.wake_by_ref();
        }
    }
}
