//! Sending to one connection: frames, batches, pings, pongs.
//!
//! Owns the policy of a full outbox and the choice between writing now, at the end of a cork and at the end
//! of a tick. Must not know who the receivers of a message are. Each call locks the sending side, and neither compresses nor calls
//! the application meanwhile.

use std::sync::Arc;

use tieline_websocket::{AnyFrame, Frame};

use super::{
    content::Cast,
    cork::Cork,
    dialect::Rendered,
    frame_batch::FrameBatch,
    inner::ConnectionInner,
    reports::Reports,
    send_side::{self, SendGuard, SendSide, WriteMode},
    state::Activity,
    tick::{Listed, Tick},
};
use crate::{close::CloseReason, config::SlowConsumer, delivery::Delivery};

/// Frames.
impl ConnectionInner {
    /// Queues what the client gets, or applies the policy of a full outbox. The frame leaves at once; inside a
    /// cork, when it ends. Content that is not for its dialect is refused.
    pub(crate) fn send(self: &Arc<Self>, cast: Cast) -> Delivery {
        let rendered = cast.into_rendered(&self.context.dialects, self.dialect());
        let Some(rendered) = rendered else {
            self.context.counters().deliveries(Delivery::Refused, 1);
            return Delivery::Refused;
        };
        self.send_rendered(rendered)
    }

    /// As [`ConnectionInner::send`], for what was rendered for this client.
    #[inline]
    pub(super) fn send_rendered(self: &Arc<Self>, rendered: Rendered) -> Delivery {
        self.compress(&rendered.frame);
        let mut send_side = self.send_side.lock();
        let delivery = self.enqueue(&mut send_side, rendered);
        if delivery.is_delivered() {
            send_side.outbox.note_delivered(&self.context.rules);
        } else {
            self.context.counters().deliveries(delivery, 1);
        }
        self.flush_or_cork(&mut send_side);
        delivery
    }

    /// As [`ConnectionInner::send`], for one receiver of many: the frame leaves when the sender's tick ends, if
    /// there is one.
    pub(super) fn send_one_of_many(
        self: &Arc<Self>,
        rendered: Rendered,
        tick: Option<&Tick>,
    ) -> Delivery {
        self.compress(&rendered.frame);
        let mut send_side = self.send_side.lock();
        let delivery = self.enqueue(&mut send_side, rendered);
        self.context.counters().deliveries(delivery, 1);
        self.flush_or_list(&mut send_side, tick);
        delivery
    }

    /// Queues a batch of frames, written in one piece if nothing waits. Returns those that were not
    /// delivered, by their place in the batch; what is not for the client's dialect is not among them.
    pub(super) fn send_batch<T>(self: &Arc<Self>, batch: &FrameBatch<T>) -> Vec<(usize, Delivery)> {
        let reading = self.reading();
        let joined = batch.joined(reading);
        if joined.is_none() {
            // Rendered and compressed before the send side is locked.
            batch.frames(reading).for_each(|frame| self.compress(frame));
        }
        let mut send_side = self.send_side.lock();
        let (mut written, is_whole) = match joined {
            Some(bytes) => {
                let written = self.write_joined(&send_side, bytes);
                (written, written == bytes.len())
            }
            None => self.write_numbered(&mut send_side, batch, reading),
        };
        let counters = self.context.counters();
        let mut failed = Vec::new();
        if is_whole {
            let frames = batch.count(reading);
            counters.left(frames, frames, written);
            return failed;
        }
        let rules = &self.context.rules;
        let (at_once, mut whole) = (written, 0);
        for (i, rendered) in batch.rendered(reading) {
            if written == 0 {
                let delivery = self.enqueue(&mut send_side, rendered);
                counters.deliveries(delivery, 1);
                if !delivery.is_delivered() {
                    failed.push((i, delivery));
                }
                continue;
            }
            let frame = self.take_number(&mut send_side, rendered);
            let length = frame.encoded(reading.deflate).len();
            if written >= length {
                written -= length;
                whole += 1;
            } else {
                counters.deliveries(Delivery::Delivered, 1);
                let begun = std::mem::take(&mut written);
                send_side.outbox.push_rest(frame, begun, rules);
            }
        }
        counters.left(whole, whole, at_once);
        if !send_side.outbox.is_empty() {
            self.flush_or_cork(&mut send_side);
        }
        failed
    }

    /// Compresses a frame for this client, unless that was done, or it takes none. Before the send side is
    /// locked: compression takes milliseconds.
    #[inline]
    pub(super) fn compress(&self, frame: &Frame) {
        if let Some(deflate) = self.deflate() {
            frame.encoded(Some(deflate));
        }
    }

    /// Whether bytes that go straight to the socket keep the order.
    pub(super) fn can_write_now(&self, send_side: &SendSide) -> bool {
        let activity = self.state.activity();
        matches!(send_side.write_mode, WriteMode::Direct(_))
            && !self.is_closing()
            && send_side.outbox.is_empty()
            && !activity.intersects(Activity::NEEDS_OUTBOX)
    }

    /// Writes the bytes of a batch straight to the socket if that keeps the order; returns how many left.
    pub(super) fn write_joined(&self, send_side: &SendSide, bytes: &[u8]) -> usize {
        match &send_side.write_mode {
            WriteMode::Direct(socket) if self.can_write_now(send_side) => {
                // The flush that follows meets an error again, and handles it.
                socket.try_write(bytes).unwrap_or(0)
            }
            _ => 0,
        }
    }

    fn enqueue(&self, send_side: &mut SendGuard<'_>, rendered: Rendered) -> Delivery {
        if self.is_closing() {
            return Delivery::Offline;
        }
        // Without the number: a few bytes beyond the bound.
        if self.fits(send_side, &rendered.frame) {
            self.push(send_side, rendered);
            return Delivery::Delivered;
        }
        self.enqueue_in_full(send_side, rendered)
    }

    /// As [`Self::enqueue`], where the bounds are reached.
    #[cold]
    fn enqueue_in_full(&self, send_side: &mut SendGuard<'_>, rendered: Rendered) -> Delivery {
        let frame = &rendered.frame;
        let has_room = self.make_room(send_side, frame);
        // An attempt to write may have failed.
        if self.is_closing() {
            return Delivery::Offline;
        }
        let mut reports = Reports::default();
        if !has_room && !self.apply_policy(send_side, frame, &mut reports) {
            send_side::tell(send_side, reports);
            return Delivery::Refused;
        }
        self.push(send_side, rendered);
        // Only now: the lock is released meanwhile, and others could take the room.
        send_side::tell(send_side, reports);
        Delivery::Delivered
    }

    /// Whether one more frame stays within the bounds.
    #[inline]
    pub(super) fn fits(&self, send_side: &mut SendSide, frame: &Frame) -> bool {
        let rules = &self.context.rules;
        match send_side.extras.outgoing() {
            None => send_side.outbox.fits(frame, rules),
            Some(outgoing) => outgoing.held.fits_behind(&send_side.outbox, frame, rules),
        }
    }

    /// Gives the socket a chance to take what waits before the policy strikes; whether the frame has room
    /// then. What only the connection's task may write waits for the task within a wider bound: a burst
    /// fills the outbox before the task can run.
    fn make_room(&self, send_side: &mut SendGuard<'_>, frame: &Frame) -> bool {
        let rules = &self.context.rules;
        self.flush_locked(send_side);
        if self.fits(send_side, frame) {
            return true;
        }
        match send_side.write_mode {
            WriteMode::Direct(_) => {
                if send_side::try_now(send_side, rules, &self.state) {
                    // The task may wait for the outbox to drain, and reads on.
                    send_side.wake();
                }
                self.fits(send_side, frame)
            }
            WriteMode::TaskOnly if !self.state.is(Activity::TRIED_FULL) => {
                send_side.wake();
                !self.state.is(Activity::STREAMING) && send_side.outbox.fits_burst(frame, rules)
            }
            _ => false,
        }
    }

    /// What happens to a frame for which there is no room; true if it has room now.
    fn apply_policy(
        &self,
        send_side: &mut SendGuard<'_>,
        frame: &Frame,
        reports: &mut Reports,
    ) -> bool {
        let rules = &self.context.rules;
        match send_side.outbox.policy(rules) {
            SlowConsumer::DropOldest => {
                while !self.fits(send_side, frame) {
                    let SendSide { outbox, extras, .. } = &mut **send_side;
                    // Of a message that is sent in pieces, none is discarded.
                    let outbox = extras.outgoing().map_or(outbox, |it| &mut it.held);
                    if !outbox.discard_oldest(rules, reports) {
                        return false;
                    }
                }
                true
            }
            SlowConsumer::DropNewest => false,
            SlowConsumer::Disconnect => {
                rules.budget.count_slow_consumer();
                self.begin_close(send_side, CloseReason::SlowConsumer, None);
                false
            }
        }
    }

    fn flush_or_list(self: &Arc<Self>, send_side: &mut SendGuard<'_>, tick: Option<&Tick>) {
        let activity = self.state.activity();
        if activity.contains(Activity::WRITE_PENDING) {
            // The task goes on with it, and a tick that finds frames that cannot leave would take them for
            // frames that it has joined.
            return;
        }
        if send_side.outbox.is_half_full(&self.context.rules) {
            return self.flush_locked(send_side);
        }
        match tick {
            Some(_) if activity.contains(Activity::LISTED) => {}
            Some(tick) if tick.list(Arc::clone(self) as Arc<dyn Listed>) => {
                self.state.set(Activity::LISTED, true);
            }
            _ => self.flush_or_cork(send_side),
        }
    }

    pub(super) fn flush_or_cork(self: &Arc<Self>, send_side: &mut SendGuard<'_>) {
        if send_side.outbox.is_half_full(&self.context.rules) || !Cork::add(self) {
            self.flush_locked(send_side);
        }
    }
}

/// Control frames.
impl ConnectionInner {
    /// Queues a pong, which leaves with the next flush, before what waits. A pong that still waits is
    /// written first, and replaced only if the socket takes nothing: every ping is answered, and a client
    /// that pings without reading piles nothing up.
    pub(crate) fn pong(self: &Arc<Self>, pong: AnyFrame) {
        let mut send_side = self.send_side.lock();
        if !self.is_closing() {
            if send_side.outbox.has_pong() {
                self.flush_locked(&mut send_side);
            }
            // The flush offers the lock to others, who may close.
            if !self.is_closing() {
                send_side.observe_sent(&pong);
                send_side.outbox.set_pong(pong);
                send_side::wake_observers(&mut send_side);
                self.flush_or_cork(&mut send_side);
            }
        }
    }

    pub(super) fn ping(&self) {
        let mut send_side = self.send_side.lock();
        if !self.is_closing() {
            let ping = self.context.ping.clone();
            send_side.push(ping, &self.context.rules);
            send_side::wake_observers(&mut send_side);
            self.flush_locked(&mut send_side);
        }
    }

    /// Tells who waits for room in the outbox that there is some, or that there will be none.
    pub(super) fn wake_waiting(&self, send_side: &mut SendGuard<'_>) {
        send_side::wake_waiting(send_side, &self.context.rules, &self.state);
    }
}
