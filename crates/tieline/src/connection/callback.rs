//! Running the application's callbacks.
//!
//! Owns what happens when one panics, and what goes on while one waits.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::wire::Wire;
use crate::{hub::ConnectionInner, scratch::Chunk};

/// How a callback ended.
pub(super) enum Called {
    Done,
    Panicked,
    /// The close deadline came first.
    Dropped,
}

pin_project! {
    /// A running callback. Most end in their first poll, and pay for nothing; when one waits, the rest
    /// of the chunk is kept for it, silence does not count, and the outbox goes on being written.
    pub(super) struct Call<'a, F> {
        wire: &'a mut Wire,
        conn: &'a ConnectionInner,
        chunk: &'a mut Chunk,
        waits: bool,
        // `None` if the callback panicked before it was a future.
        #[pin]
        callback: Option<F>,
    }
}

/// Starts a callback. A struct rather than an async function, which would hold the callback's future
/// twice, once as its argument and once pinned, in every connection.
pub(super) fn call<'a, F: Future<Output = ()>>(
    wire: &'a mut Wire,
    conn: &'a ConnectionInner,
    chunk: &'a mut Chunk,
    make: impl FnOnce() -> F,
) -> Call<'a, F> {
    Call {
        wire,
        conn,
        chunk,
        waits: false,
        callback: catch_unwind(AssertUnwindSafe(make)).ok(),
    }
}

impl<F: Future<Output = ()>> Future for Call<'_, F> {
    type Output = Called;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Called> {
        let call = self.project();
        let called = poll_guarded(call.callback, cx);
        if called.is_ready() {
            if *call.waits {
                call.conn.handling(false);
            }
            // An outbox near its bound that only this task may write is written between callbacks.
            call.wire.poll_writes(cx, call.conn);
            return called;
        }
        if !*call.waits {
            *call.waits = true;
            call.chunk.park();
            call.conn.handling(true);
        }
        call.wire.poll_writes(cx, call.conn);
        call.wire
            .poll_deadline(cx, call.conn)
            .map(|()| Called::Dropped)
    }
}

fn poll_guarded<F: Future<Output = ()>>(
    callback: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<Called> {
    let Some(callback) = callback.as_pin_mut() else {
        return Poll::Ready(Called::Panicked);
    };
    match catch_unwind(AssertUnwindSafe(|| callback.poll(cx))) {
        Ok(poll) => poll.map(|()| Called::Done),
        Err(_) => Poll::Ready(Called::Panicked),
    }
}
