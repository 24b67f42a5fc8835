//! The sending side of a connection: its outbox, its socket, and the reason of its close.
//!
//! Everything that leaves for a client passes here, under one lock per connection. Owns the order of what
//! a client receives and how a close begins. Must not know other connections or the protocol's state.
//! Invariants: after a close has begun nothing but its close frame is queued; the first reason to close
//! stays; a reason is stored if and only if the lifecycle has reached `Closing`.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    task::Waker,
};

use tieline_websocket::AnyFrame;
use tokio::net::tcp::OwnedWriteHalf;

use super::{
    outbox::{Flushed, Outbox},
    state::{Activity, Lifecycle, StateCell},
};
use crate::close::{CloseReason, FinalMessage};

pub(super) struct SendSide {
    pub(super) outbox: Outbox,
    pub(super) write_mode: WriteMode,
    pub(super) waker: Option<Waker>,
    pub(super) reason: Option<Box<CloseReason>>,
}

/// Who writes what is in the outbox.
pub(super) enum WriteMode {
    /// Nobody: the upgrade is not complete, frames wait.
    BeforeUpgrade,
    /// Any thread that queues a frame.
    Direct(OwnedWriteHalf),
    /// The connection's task alone (TLS, or a stream of unknown type).
    TaskOnly,
    /// Nobody: the task has ended.
    Closed,
}

impl SendSide {
    pub(super) fn new(outbox: Outbox) -> Self {
        Self {
            outbox,
            write_mode: WriteMode::BeforeUpgrade,
            waker: None,
            reason: None,
        }
    }

    /// Writes to the socket until nothing waits or it is full; what remains is the task's, which is woken
    /// if `wake`. Does nothing while the task has something to write: the order would be lost.
    pub(super) fn flush(&mut self, state: &StateCell, wake: bool) {
        if self.outbox.is_empty() || state.is(Activity::WRITE_PENDING) {
            return;
        }
        let flushed = match &self.write_mode {
            WriteMode::BeforeUpgrade | WriteMode::Closed => return,
            WriteMode::TaskOnly => Ok(Flushed::Blocked),
            WriteMode::Direct(socket) => self.outbox.flush(&mut |slices| match slices {
                [one] => socket.try_write(one),
                many => socket.try_write_vectored(many),
            }),
        };
        match flushed {
            Ok(Flushed::Empty) if !state.reached(Lifecycle::Closing) => {}
            // The task waits for the close frame to leave.
            Ok(Flushed::Empty) => self.wake(),
            Ok(Flushed::Blocked) => {
                state.set(Activity::WRITE_PENDING, true);
                if wake {
                    self.wake();
                }
            }
            Err(e) => self.abort(state, CloseReason::Lost(e.kind())),
        }
    }

    /// Begins a close: the final message and the close frame go behind what waits, and the task is woken.
    /// `frame` is the close frame that the protocol made, if it did.
    pub(super) fn close(
        &mut self,
        state: &StateCell,
        reason: CloseReason,
        frame: Option<AnyFrame>,
        final_message: Option<FinalMessage>,
    ) {
        if state.reached(Lifecycle::Closing) {
            // One close frame a side: where closes cross, each is the other's answer.
            return;
        }
        if matches!(reason, CloseReason::SlowConsumer | CloseReason::Silent) {
            self.outbox.discard_waiting();
        }
        let close_frame = frame.or_else(|| Some(AnyFrame::close(Some(&reason.frame()?))));
        if let Some(close_frame) = close_frame {
            let ours = !matches!(reason, CloseReason::Client(_));
            if let Some(final_message) = final_message.filter(|_| ours) {
                // The application's code, under our lock: a panic must not unwind through it.
                let frame = catch_unwind(AssertUnwindSafe(|| final_message(&reason)));
                frame.into_iter().for_each(|frame| self.outbox.push(frame));
            }
            self.outbox.push(close_frame);
        }
        self.enter(state, Lifecycle::Closing, reason);
    }

    /// Ends the connection without a close handshake; the task ends at its next poll.
    pub(super) fn abort(&mut self, state: &StateCell, reason: CloseReason) {
        self.enter(state, Lifecycle::Aborted, reason);
    }

    /// Gives up socket and outbox; the task has ended.
    pub(super) fn end(&mut self, state: &StateCell) {
        self.waker = None;
        let reason = CloseReason::Lost(io::ErrorKind::NotConnected);
        self.enter(state, Lifecycle::Ended, reason);
        self.write_mode = WriteMode::Closed;
        self.outbox = Outbox::default();
    }

    fn enter(&mut self, state: &StateCell, lifecycle: Lifecycle, reason: CloseReason) {
        self.reason.get_or_insert_with(|| Box::new(reason));
        state.advance(lifecycle);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}
