//! Waiting for room in the outbox of one connection.
//!
//! Owns when a frame that waits may enter, and the order of those who wait. Must not know what is pending in
//! the shard. Invariants: only the half of an outbox is filled by those who wait, so that the other half
//! remains for what cannot wait; nobody overtakes one who waits and was not told of room, except by `emit`, or if that
//! one waits for the end of a message; a wait that is dropped leaves nothing behind, and lets the next one have its turn.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::task::coop;

use super::{
    dialect::Rendered,
    inner::ConnectionInner,
    line::{Turn, Wish},
    send_side::{SendGuard, SendSide},
    state::Activity,
};
use crate::delivery::Delivery;

/// Why a frame was not sent, or never will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is closed, or closing.
    #[error("the connection is closed")]
    Closed,
    /// The note is not for the client's [`Dialect`](crate::Dialect).
    #[error("the note is not for the client's dialect")]
    Refused,
    /// A piece of a text message is not valid UTF-8, or the message ends within a character.
    #[error("the text is not valid UTF-8")]
    InvalidText,
    /// The future that sent a piece of the message was dropped before it was ready, so that a part may be missing.
    #[error("a piece of the message was sent in part")]
    Interrupted,
}

/// What waits for room.
pub(super) enum Entry {
    /// Nothing but who waits.
    Nobody,
    /// A frame, which must be compressed already where the client wants that.
    Frame(Rendered),
    /// A message that is to be sent in pieces, when no other one is.
    Message,
}

impl Entry {
    fn wish(&self) -> Wish {
        match self {
            Self::Message => Wish::Message,
            Self::Nobody | Self::Frame(_) => Wish::Room,
        }
    }
}

/// Waits for room, and enters then. Nothing was sent if it is dropped before it is ready.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Room<'a> {
    conn: &'a Arc<ConnectionInner>,
    entry: Entry,
    /// Since it waits.
    turn: Option<Turn>,
}

impl<'a> Room<'a> {
    pub(super) fn new(conn: &'a Arc<ConnectionInner>, entry: Entry) -> Self {
        Self {
            conn,
            entry,
            turn: None,
        }
    }
}

impl Future for Room<'_> {
    type Output = Result<(), SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A task that sends to a fast reader would never wait, and no other task would get a turn.
        let coop = ready!(coop::poll_proceed(cx));
        let Self { conn, entry, turn } = self.get_mut();
        let result = ready!(conn.poll_send(cx, entry, turn));
        coop.made_progress();
        Poll::Ready(result)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if let Some(turn) = self.turn {
            let mut send_side = self.conn.send_side.lock();
            self.conn.leave_line(&mut send_side, turn);
        }
    }
}

impl ConnectionInner {
    /// Lets in who waits, when less than half of the outbox is in use and nobody waits before.
    fn poll_send(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        entry: &mut Entry,
        turn: &mut Option<Turn>,
    ) -> Poll<Result<(), SendError>> {
        let mut send_side = self.send_side.lock();
        if !self.has_room(&mut send_side, entry, *turn) {
            // Inside a cork, what waits may not have been written yet.
            self.flush_locked(&mut send_side);
        }
        let is_open = !self.is_closing();
        if is_open && !self.has_room(&mut send_side, entry, *turn) {
            self.state.set(Activity::ROOM_AWAITED, true);
            let line = send_side.extras.line_or_empty();
            *turn = Some(line.wait(*turn, cx.waker(), entry.wish()));
            return Poll::Pending;
        }
        let counters = self.context.counters();
        match std::mem::replace(entry, Entry::Nobody) {
            Entry::Frame(frame) if is_open => {
                self.push(&mut send_side, frame);
                counters.deliveries(Delivery::Delivered, 1);
                self.flush_or_cork(&mut send_side);
            }
            Entry::Message if is_open => self.begin_outgoing(&mut send_side),
            Entry::Frame(_) | Entry::Message => counters.deliveries(Delivery::Offline, 1),
            Entry::Nobody => {}
        }
        if let Some(turn) = turn.take() {
            self.leave_line(&mut send_side, turn);
        }
        Poll::Ready(if is_open {
            Ok(())
        } else {
            Err(SendError::Closed)
        })
    }

    fn has_room(&self, send_side: &mut SendSide, entry: &Entry, turn: Option<Turn>) -> bool {
        let rules = &self.context.rules;
        if !send_side.extras.may_send(turn) || send_side.outbox.is_half_full(rules) {
            return false;
        }
        if let Some(outgoing) = send_side.extras.outgoing()
            && (outgoing.held.is_half_full(rules) || matches!(entry, Entry::Message))
        {
            return false;
        }
        match entry {
            Entry::Frame(frame) => self.fits(send_side, &frame.frame),
            Entry::Nobody | Entry::Message => true,
        }
    }

    /// Ends a wait, so that the next one has its turn.
    fn leave_line(&self, send_side: &mut SendGuard<'_>, turn: Turn) {
        if send_side.extras.leave_line(turn) {
            let is_awaited = send_side.extras.has_waiting_writer();
            self.state.set(Activity::ROOM_AWAITED, is_awaited);
        } else {
            self.wake_waiting(send_side);
        }
    }

    /// How many frames wait in the outbox, and how many bytes.
    pub(super) fn queued(&self) -> (usize, usize) {
        self.send_side.lock().queued()
    }
}
