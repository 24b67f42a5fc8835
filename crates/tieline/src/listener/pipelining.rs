//! Responses to pipelined requests: they leave together.
//!
//! hyper writes each response by itself, which costs more than most requests do. So the stream keeps what hyper
//! writes until the poll of the connection ends: a client that sends eight requests at once gets eight responses in
//! one write. (hyper's own option, `pipeline_flush`, makes a response wait for the rest of the next request, and for
//! its handler.) A client that waits for each response does not pipeline: the first response of a poll leaves at once,
//! unless there were several in the poll before.
//!
//! Owns when that is. Knows neither HTTP nor sockets. Invariants: nothing is kept longer than a poll, unless the
//! socket is full; nothing is kept once a request has been upgraded, because the stream has another owner then.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

/// Whether the stream of a connection keeps what is written. Clones share it; all of them are used by the task of
/// the connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Hold(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// A poll of the connection has begun, after which somebody sees to what is kept.
    in_poll: AtomicBool,
    /// Responses of the poll.
    responses: AtomicUsize,
    /// There were several in the last poll that had any.
    pipelined: AtomicBool,
    /// Something is kept, or has not been flushed.
    waits: AtomicBool,
    /// Nothing is kept any more.
    ended: AtomicBool,
}

/// For the stream.
impl Hold {
    pub(super) fn holds(&self) -> bool {
        let state = &*self.0;
        state.in_poll.load(Relaxed)
            && (state.pipelined.load(Relaxed) || state.responses.load(Relaxed) > 0)
    }

    /// A response has left, or is kept.
    pub(super) fn count_response(&self) {
        self.0.responses.fetch_add(1, Relaxed);
    }

    pub(super) fn set_waits(&self, waits: bool) {
        self.0.waits.store(waits, Relaxed);
    }
}

impl Hold {
    /// What is written from now on leaves at once, behind what was kept.
    pub(super) fn end(&self) {
        self.0.ended.store(true, Relaxed);
        self.0.in_poll.store(false, Relaxed);
    }

    fn begin_poll(&self) {
        let state = &*self.0;
        state.responses.store(0, Relaxed);
        state.in_poll.store(!state.ended.load(Relaxed), Relaxed);
    }

    /// Returns whether something waits.
    fn end_poll(&self) -> bool {
        let state = &*self.0;
        state.in_poll.store(false, Relaxed);
        match state.responses.load(Relaxed) {
            // The task was woken for something else.
            0 => {}
            responses => state.pipelined.store(responses > 1, Relaxed),
        }
        state.waits.load(Relaxed)
    }
}

pin_project! {
    /// A connection whose stream keeps what is written during a poll.
    pub(super) struct Pipelined<C> {
        #[pin]
        connection: C,
        hold: Hold,
    }
}

impl<C> Pipelined<C> {
    pub(super) fn new(connection: C, hold: Hold) -> Self {
        Self { connection, hold }
    }

    pub(super) fn connection(self: Pin<&mut Self>) -> Pin<&mut C> {
        self.project().connection
    }
}

impl<C: Future> Future for Pipelined<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let mut this = self.project();
        this.hold.begin_poll();
        let polled = this.connection.as_mut().poll(cx);
        if this.hold.end_poll() && polled.is_pending() {
            // hyper has the stream, and flushes it whenever it is polled.
            return this.connection.poll(cx);
        }
        polled
    }
}

#[cfg(test)]
mod tests;
