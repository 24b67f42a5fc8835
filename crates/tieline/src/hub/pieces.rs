//! Sending one message in pieces.
//!
//! Owns when a piece may enter the outbox, and how the message begins and ends there. Must not know the application, or
//! what the pieces say. Invariants: the fragments of a message are next to each other, except for control frames; a
//! message that has begun either ends, or the connection closes.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tieline_websocket::{AnyFrame, CloseCode, CloseFrame};
use tokio::{
    task::coop,
    time::{Instant, sleep_until},
};

use super::{
    inner::ConnectionInner,
    outgoing::Outgoing,
    room::SendError,
    send_side::{SendGuard, SendSide, wake_observers},
    state::Activity,
};
use crate::{close::CloseReason, delivery::Delivery};

/// Waits for room, and sends a fragment.
pub(super) struct Fragment<'a> {
    conn: &'a Arc<ConnectionInner>,
    /// Until it is sent.
    frame: Option<AnyFrame>,
}

impl<'a> Fragment<'a> {
    pub(super) fn new(conn: &'a Arc<ConnectionInner>, frame: AnyFrame) -> Self {
        let frame = Some(frame);
        Self { conn, frame }
    }
}

impl Future for Fragment<'_> {
    type Output = Result<(), SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let coop = ready!(coop::poll_proceed(cx));
        let Self { conn, frame } = self.get_mut();
        let result = ready!(conn.poll_fragment(cx, frame));
        coop.made_progress();
        Poll::Ready(result)
    }
}

impl Drop for Fragment<'_> {
    fn drop(&mut self) {
        if self.frame.is_some() {
            self.conn.stop_waiting(&mut self.conn.send_side.lock());
        }
    }
}

impl ConnectionInner {
    pub(super) fn begin_outgoing(&self, send_side: &mut SendGuard<'_>) {
        let held = send_side.outbox.another();
        send_side.extras.begin_outgoing(Outgoing::new(held));
        self.state.set(Activity::STREAMING, true);
    }

    /// Whether a message is being sent in pieces; not once the connection closes.
    pub(crate) fn is_sending_pieces(&self) -> bool {
        self.state.is(Activity::STREAMING) && !self.is_closing()
    }

    /// Sends a fragment when less than half of the outbox is in use, whoever waits: others cannot be sent before.
    fn poll_fragment(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        frame: &mut Option<AnyFrame>,
    ) -> Poll<Result<(), SendError>> {
        let rules = &self.context.rules;
        let has_room = |send_side: &SendSide, frame: &AnyFrame| {
            !send_side.outbox.is_half_full(rules) && send_side.outbox.fits(frame, rules)
        };
        let mut send_side = self.send_side.lock();
        if frame.as_ref().is_some_and(|it| !has_room(&send_side, it)) {
            self.flush_locked(&mut send_side);
        }
        if self.is_closing() {
            *frame = None;
            return Poll::Ready(Err(SendError::Closed));
        }
        let Some(ready) = frame.take_if(|it| has_room(&send_side, it)) else {
            if let Some(outgoing) = send_side.extras.outgoing() {
                outgoing.waker = Some(cx.waker().clone());
            }
            self.state.set(Activity::ROOM_AWAITED, true);
            return Poll::Pending;
        };
        if let Some(outgoing) = send_side.extras.outgoing() {
            outgoing.proceed();
        }
        self.stop_waiting(&mut send_side);
        send_side.push(ready, rules);
        wake_observers(&mut send_side);
        self.flush_or_cork(&mut send_side);
        Poll::Ready(Ok(()))
    }

    /// The writer does not wait for room any more.
    fn stop_waiting(&self, send_side: &mut SendGuard<'_>) {
        if let Some(outgoing) = send_side.extras.outgoing() {
            outgoing.stop_waiting();
        }
        let is_awaited = send_side.extras.line().is_some_and(|line| !line.is_empty());
        self.state.set(Activity::ROOM_AWAITED, is_awaited);
    }

    /// Ends the message with its last fragment; what waits for that goes behind it.
    pub(super) fn end_message(self: &Arc<Self>, last: AnyFrame) -> Result<(), SendError> {
        let rules = &self.context.rules;
        let mut send_side = self.send_side.lock();
        if self.is_closing() {
            return Err(SendError::Closed);
        }
        send_side.push(last, rules);
        wake_observers(&mut send_side);
        self.context.counters().deliveries(Delivery::Delivered, 1);
        self.release_held(&mut send_side);
        Ok(())
    }

    /// Ends the message with its last fragment, and begins another; what waits goes behind that one.
    pub(super) fn end_and_begin(self: &Arc<Self>, last: AnyFrame) -> Result<(), SendError> {
        let mut send_side = self.send_side.lock();
        if self.is_closing() {
            return Err(SendError::Closed);
        }
        send_side.outbox.push(last, &self.context.rules);
        self.context.counters().deliveries(Delivery::Delivered, 1);
        if let Some(outgoing) = send_side.extras.outgoing() {
            outgoing.begin_again();
        }
        self.flush_or_cork(&mut send_side);
        Ok(())
    }

    /// Gives the message up. If a part was sent, the client cannot get the rest, nor anything else.
    pub(super) fn abandon_message(self: &Arc<Self>) {
        let mut send_side = self.send_side.lock();
        if self.is_closing() {
            return;
        }
        let outgoing = send_side.extras.outgoing();
        if outgoing.is_some_and(|outgoing| outgoing.has_begun) {
            self.close_for(&mut send_side, UNFINISHED);
        } else {
            self.release_held(&mut send_side);
        }
    }

    fn close_for(self: &Arc<Self>, send_side: &mut SendGuard<'_>, why: &'static str) {
        let frame = CloseFrame::new(CloseCode::INTERNAL_ERROR, why);
        self.begin_close(send_side, CloseReason::Application(frame), None);
        self.flush_or_cork(send_side);
    }

    fn release_held(self: &Arc<Self>, send_side: &mut SendGuard<'_>) {
        let SendSide { outbox, extras, .. } = &mut **send_side;
        if let Some(outgoing) = extras.end_outgoing() {
            outbox.append(outgoing.held, &self.context.rules);
        }
        self.state.set(Activity::STREAMING, false);
        self.flush_or_cork(send_side);
        self.wake_waiting(send_side);
    }

    /// Closes the connection if the application gives no piece of the message for as long as a client may take for
    /// the next bytes of one. Time in which the writer waits for the client does not count. To be dropped with the
    /// writer.
    pub(super) async fn watch_message(self: Arc<Self>) {
        let patience = self.context.config.message_timeout;
        while let Some(due) = self.check_message(patience) {
            sleep_until(due).await;
        }
    }

    /// Gives the message up if it is time to; returns when to look again.
    fn check_message(self: &Arc<Self>, patience: Duration) -> Option<Instant> {
        let mut send_side = self.send_side.lock();
        let due = send_side.extras.outgoing()?.due(patience);
        if due > Instant::now() {
            return Some(due);
        }
        // Under the same lock: another message may begin when this one has ended. Also if nothing was sent: what is held
        // must not wait for ever, and the writer relies on being the only one.
        self.close_for(&mut send_side, TOO_SLOW);
        None
    }
}

/// Reasons of closes.
const UNFINISHED: &str = "message not finished";
const TOO_SLOW: &str = "message not continued in time";
