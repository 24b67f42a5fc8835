//! Sending to one connection: frames, batches, pings, pongs, closes.
//!
//! Owns the policy of a full outbox and the choice between writing now and at the end of a cork. Must not
//! know who the receivers of a message are. Each call takes the lock of the connection's sending side once.

use std::sync::Arc;

use tieline_websocket::{AnyFrame, Frame};

use super::{
    cork::Cork,
    frame_batch::FrameBatch,
    inner::ConnectionInner,
    send_side::{SendSide, WriteMode},
    state::Activity,
};
use crate::{
    close::CloseReason,
    config::{Config, SlowConsumer},
    delivery::Delivery,
};

/// Frames.
impl ConnectionInner {
    /// Queues a frame, or applies the policy of a full outbox. The frame leaves at once; inside a cork,
    /// when it ends.
    pub(crate) fn send(self: &Arc<Self>, frame: Frame) -> Delivery {
        let mut send_side = self.send_side.lock();
        let delivery = self.enqueue(&mut send_side, frame);
        self.flush_or_cork(&mut send_side);
        delivery
    }

    /// Queues a batch of frames, written in one piece if nothing waits. Returns those that were not
    /// delivered, by their place in the batch.
    pub(super) fn send_batch<T>(self: &Arc<Self>, batch: &FrameBatch<T>) -> Vec<(usize, Delivery)> {
        let mut send_side = self.send_side.lock();
        let mut written = self.write_joined(&mut send_side, batch);
        let mut failed = Vec::new();
        if batch.is_whole(written, send_side.outbox.deflate()) {
            return failed;
        }
        for (i, frame) in batch.frames().enumerate() {
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

    /// Writes the batch straight to the socket if that keeps the order; returns how many bytes left.
    fn write_joined<T>(&self, send_side: &mut SendSide, batch: &FrameBatch<T>) -> usize {
        let WriteMode::Direct(socket) = &send_side.write_mode else {
            return 0;
        };
        if self.is_closing()
            || !send_side.outbox.is_empty()
            || self.state.is(Activity::WRITE_PENDING)
        {
            return 0;
        }
        // The flush that follows meets an error again, and handles it.
        batch
            .joined(send_side.outbox.deflate())
            .map_or(0, |bytes| socket.try_write(bytes).unwrap_or(0))
    }

    fn enqueue(&self, send_side: &mut SendSide, frame: Frame) -> Delivery {
        if self.is_closing() {
            return Delivery::Offline;
        }
        let Config {
            outbox_bytes: bytes,
            outbox_frames: frames,
            slow_consumer,
            ..
        } = self.context.config;
        if !send_side.outbox.fits(&frame, bytes, frames) {
            send_side.flush(&self.state, true);
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
        if self.is_closing() {
            return Delivery::Offline;
        }
        send_side.outbox.push(frame);
        Delivery::Delivered
    }

    fn flush_or_cork(self: &Arc<Self>, send_side: &mut SendSide) {
        if !Cork::is_active() || send_side.outbox.is_half_full(&self.context.config) {
            send_side.flush(&self.state, true);
        } else {
            Cork::add(self);
        }
    }
}

/// Control frames and closes.
impl ConnectionInner {
    /// Queues a pong, which leaves with the next flush, before what waits. A pong that still waits is
    /// written first, and replaced only if the socket takes nothing: every ping is answered, and a client
    /// that pings without reading piles nothing up.
    pub(crate) fn pong(self: &Arc<Self>, pong: AnyFrame) {
        let mut send_side = self.send_side.lock();
        if !self.is_closing() {
            if send_side.outbox.has_pong() {
                send_side.flush(&self.state, true);
            }
            send_side.outbox.set_pong(pong);
            self.flush_or_cork(&mut send_side);
        }
    }

    pub(super) fn ping(&self) {
        let mut send_side = self.send_side.lock();
        if !self.is_closing() {
            send_side.outbox.push(self.context.ping.clone());
            send_side.flush(&self.state, true);
        }
    }

    /// Begins a close: the close frame goes behind what waits, and the task is woken. Later calls change
    /// nothing.
    pub(crate) fn close(self: &Arc<Self>, reason: CloseReason) {
        self.close_with(reason, None);
    }

    /// As [`ConnectionInner::close`], with a close frame that the protocol made.
    pub(crate) fn close_with(self: &Arc<Self>, reason: CloseReason, frame: Option<AnyFrame>) {
        let mut send_side = self.send_side.lock();
        self.begin_close(&mut send_side, reason, frame);
        self.flush_or_cork(&mut send_side);
    }

    fn begin_close(&self, send_side: &mut SendSide, reason: CloseReason, frame: Option<AnyFrame>) {
        send_side.close(&self.state, reason, frame, self.final_message);
    }

    /// Ends the connection without a close handshake; the task ends at its next poll.
    pub(crate) fn abort(&self, reason: CloseReason) {
        self.send_side.lock().abort(&self.state, reason);
    }
}
