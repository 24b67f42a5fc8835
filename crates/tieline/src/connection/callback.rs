//! Running the application's callbacks.
//!
//! Owns what happens when a callback panics, and what continues while one waits. Must not know which
//! callback it runs.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{io::ConnectionIo, read_buffer::ReadBuffer};
use crate::hub::ConnectionInner;

/// How a callback ended.
pub(super) enum CallbackOutcome {
    Done,
    Panicked,
    /// The close deadline passed first.
    Dropped,
}

pin_project! {
    /// A running callback. Most end in their first poll and cost nothing more. While one waits, the rest
    /// of the read buffer is kept, silence does not count, and the outbox is still written.
    pub(super) struct CallbackFuture<'a, F> {
        io: &'a mut ConnectionIo,
        conn: &'a ConnectionInner,
        buffer: &'a mut ReadBuffer,
        is_waiting: bool,
        // `None` if the callback panicked before it returned a future.
        #[pin]
        callback: Option<F>,
    }
}

/// Starts a callback. A struct rather than an async function, which would hold the callback's future
/// twice, once as its argument and once pinned, in every connection.
pub(super) fn call<'a, F: Future<Output = ()>>(
    io: &'a mut ConnectionIo,
    conn: &'a ConnectionInner,
    buffer: &'a mut ReadBuffer,
    make: impl FnOnce() -> F,
) -> CallbackFuture<'a, F> {
    CallbackFuture {
        io,
        conn,
        buffer,
        is_waiting: false,
        callback: catch_unwind(AssertUnwindSafe(make)).ok(),
    }
}

impl<F: Future<Output = ()>> Future for CallbackFuture<'_, F> {
    type Output = CallbackOutcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CallbackOutcome> {
        let call = self.project();
        call.conn.note_runtime();
        let outcome = poll_guarded(call.callback, cx);
        if outcome.is_ready() {
            if *call.is_waiting {
                call.conn.set_handler_running(false);
            }
            // An outbox that only this task may write, and that is near its bound, is written between
            // callbacks.
            call.io.poll_writes(cx, call.conn);
            return outcome;
        }
        if !*call.is_waiting {
            *call.is_waiting = true;
            call.buffer.keep_rest();
            call.conn.set_handler_running(true);
        }
        call.io.poll_writes(cx, call.conn);
        call.conn.close_if_stalled();
        call.io
            .poll_deadline(cx, call.conn)
            .map(|()| CallbackOutcome::Dropped)
    }
}

fn poll_guarded<F: Future<Output = ()>>(
    callback: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<CallbackOutcome> {
    let Some(callback) = callback.as_pin_mut() else {
        return Poll::Ready(CallbackOutcome::Panicked);
    };
    match catch_unwind(AssertUnwindSafe(|| callback.poll(cx))) {
        Ok(poll) => poll.map(|()| CallbackOutcome::Done),
        Err(_) => Poll::Ready(CallbackOutcome::Panicked),
    }
}
