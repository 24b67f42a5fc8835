//! What a connection's task waits for: bytes, room to write, a close, a deadline.
//!
//! Owns the task's end of the socket and the timer of the close. Must not know the protocol or the handler.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

use super::{read_buffer::ReadBuffer, stream::Stream};
use crate::hub::ConnectionInner;

/// The task's end of the socket, and the timer of its close.
pub(super) struct ConnectionIo {
    stream: Stream,
    close_timer: CloseTimer,
}

/// The deadline of a close. It starts when the task first notices the close: an open connection holds no
/// timer.
enum CloseTimer {
    NotStarted,
    Running(Pin<Box<Sleep>>),
}

/// What happened to the socket or the connection.
pub(super) enum IoEvent {
    /// Bytes are in the read buffer.
    Read,
    /// A close has begun on our side. Returned once.
    Closing,
    /// No more bytes will come.
    End(io::ErrorKind),
    /// The close took too long, or nothing can be sent any more.
    Deadline,
}

impl ConnectionIo {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            close_timer: CloseTimer::NotStarted,
        }
    }

    /// Waits for the next event. Cancel-safe.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        conn: &ConnectionInner,
        buffer: &mut ReadBuffer,
    ) -> Poll<IoEvent> {
        self.poll_writes(cx, conn);
        let noticed = matches!(self.close_timer, CloseTimer::Running(_));
        if self.poll_deadline(cx, conn).is_ready() {
            return Poll::Ready(IoEvent::Deadline);
        }
        if conn.is_aborted() {
            // What arrived before a write failed is still handled.
            let failed = conn.io_error().is_some();
            let rest =
                failed && matches!(self.poll_read(cx, conn, buffer), Poll::Ready(IoEvent::Read));
            let event = if rest {
                IoEvent::Read
            } else {
                IoEvent::Deadline
            };
            return Poll::Ready(event);
        }
        if conn.is_closing() && !noticed {
            return Poll::Ready(IoEvent::Closing);
        }
        let paused = conn.pauses_reading();
        if !paused && let Poll::Ready(event) = self.poll_read(cx, conn, buffer) {
            return Poll::Ready(event);
        }
        if conn.is_suspected() && self.is_silent(conn, paused) {
            self.poll_writes(cx, conn);
            return Poll::Ready(IoEvent::Deadline);
        }
        Poll::Pending
    }

    /// Whether the client has left, whatever it has left behind.
    pub(super) fn has_left(&self) -> bool {
        self.stream.has_left()
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        conn: &ConnectionInner,
        buffer: &mut ReadBuffer,
    ) -> Poll<IoEvent> {
        if !buffer.is_empty() {
            // Kept while reading paused.
            return Poll::Ready(IoEvent::Read);
        }
        let read = buffer.read(|space| self.stream.poll_read(cx, space));
        read.map(|read| match read {
            Ok(0) => IoEvent::End(io::ErrorKind::UnexpectedEof),
            Err(e) => IoEvent::End(e.kind()),
            Ok(n) => {
                conn.context().counters().bytes_in(n);
                conn.record_activity();
                IoEvent::Read
            }
        })
    }

    /// Whether the client has really given no sign of life, and is closed now.
    fn is_silent(&self, conn: &ConnectionInner, paused: bool) -> bool {
        if !paused && self.stream.has_unread() {
            conn.record_activity();
        }
        conn.close_if_silent()
    }

    /// Writes what waits for the task, as far as the socket takes it.
    pub(super) fn poll_writes(&mut self, cx: &mut Context<'_>, conn: &ConnectionInner) {
        conn.poll_flush(cx, self.stream.writer());
    }

    /// Ready once a close has lasted for `close_timeout`.
    pub(super) fn poll_deadline(
        &mut self,
        cx: &mut Context<'_>,
        conn: &ConnectionInner,
    ) -> Poll<()> {
        if !conn.is_closing() {
            return Poll::Pending;
        }
        let timeout = conn.context().config.close_timeout;
        self.close_timer.start(timeout).poll(cx)
    }

    /// Restarts the deadline, for `on_disconnect`.
    pub(super) fn extend_deadline(&mut self, conn: &ConnectionInner) {
        if let CloseTimer::Running(timer) = &mut self.close_timer {
            let timeout = conn.context().config.close_timeout;
            timer.as_mut().reset(Instant::now() + timeout);
        }
    }

    /// Lets everything queued leave and ends the sending direction; false if that failed.
    pub(super) async fn finish(&mut self, conn: &ConnectionInner) -> bool {
        let drained = poll_fn(|cx| {
            self.poll_writes(cx, conn);
            if conn.is_drained() {
                return Poll::Ready(true);
            }
            if conn.is_aborted() {
                return Poll::Ready(false);
            }
            self.poll_deadline(cx, conn).map(|()| false)
        });
        let drained = drained.await;
        drained
            && poll_fn(|cx| match self.stream.poll_shutdown(cx) {
                Poll::Ready(done) => Poll::Ready(done.is_ok()),
                Poll::Pending => self.poll_deadline(cx, conn).map(|()| false),
            })
            .await
    }

    /// Reads until the client ends too: a socket that is closed with unread bytes is reset, and the reset
    /// may destroy the close frame before the client has read it (RFC 9293, 3.10.7.4; RFC 6455, 7.1.1).
    pub(super) async fn linger(&mut self, conn: &ConnectionInner) {
        let mut unread = ReadBuffer::default();
        while let IoEvent::Read | IoEvent::Closing =
            poll_fn(|cx| self.poll_next(cx, conn, &mut unread)).await
        {
            unread = ReadBuffer::default();
        }
    }
}

impl CloseTimer {
    /// The timer; the first call starts it.
    fn start(&mut self, timeout: Duration) -> Pin<&mut Sleep> {
        if let Self::NotStarted = self {
            *self = Self::Running(Box::pin(tokio::time::sleep(timeout)));
        }
        match self {
            Self::Running(timer) => timer.as_mut(),
            Self::NotStarted => unreachable!("it was started above"),
        }
    }
}
