//! What a connection's task waits for: bytes, room to write, a close, a deadline.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep};

use super::{read_buffer::ReadBuffer, stream::Stream};
use crate::hub::ConnectionInner;

/// The task's end of the socket, and the deadline of its close.
pub(super) struct ConnectionIo {
    stream: Stream,
    /// Set once a close has been noticed: no timer is held before.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// What happened on the wire.
pub(super) enum IoEvent {
    /// Bytes came; they are in the chunk.
    Read,
    /// A close was begun on our side; said once.
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
            deadline: None,
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
        let noticed = self.deadline.is_some();
        if self.poll_deadline(cx, conn).is_ready() || conn.is_aborted() {
            return Poll::Ready(IoEvent::Deadline);
        }
        if conn.is_closing() && !noticed {
            return Poll::Ready(IoEvent::Closing);
        }
        let read = buffer.read(|space| self.stream.poll_read(cx, space));
        read.map(|read| match read {
            Ok(0) => IoEvent::End(io::ErrorKind::UnexpectedEof),
            Err(e) => IoEvent::End(e.kind()),
            Ok(_) => {
                conn.record_activity();
                IoEvent::Read
            }
        })
    }

    /// Writes what waits, as far as the socket takes it.
    pub(super) fn poll_writes(&mut self, cx: &mut Context<'_>, conn: &ConnectionInner) {
        conn.poll_flush(cx, self.stream.writer());
    }

    /// Ready once a close has lasted as long as it may.
    pub(super) fn poll_deadline(
        &mut self,
        cx: &mut Context<'_>,
        conn: &ConnectionInner,
    ) -> Poll<()> {
        if !conn.is_closing() {
            return Poll::Pending;
        }
        let timeout = conn.context().config.close_timeout;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        deadline.as_mut().poll(cx)
    }

    /// Starts the deadline anew, for `on_disconnect`.
    pub(super) fn extend_deadline(&mut self, conn: &ConnectionInner) {
        if let Some(deadline) = &mut self.deadline {
            deadline
                .as_mut()
                .reset(Instant::now() + conn.context().config.close_timeout);
        }
    }

    /// Lets everything queued leave and ends the sending direction; false where that did not work.
    pub(super) async fn finish(&mut self, conn: &ConnectionInner) -> bool {
        let left = poll_fn(|cx| {
            self.poll_writes(cx, conn);
            if conn.is_drained() {
                return Poll::Ready(true);
            }
            if conn.is_aborted() {
                return Poll::Ready(false);
            }
            self.poll_deadline(cx, conn).map(|()| false)
        });
        let left = left.await;
        left && poll_fn(|cx| match self.stream.poll_shutdown(cx) {
            Poll::Ready(done) => Poll::Ready(done.is_ok()),
            Poll::Pending => self.poll_deadline(cx, conn).map(|()| false),
        })
        .await
    }

    /// Reads on until the peer ends too: a socket that is closed while bytes are unread is reset, and a
    /// reset may destroy the close frame before the peer has read it (RFC 9293, 3.10.7.4; RFC 6455,
    /// 7.1.1).
    pub(super) async fn linger(&mut self, conn: &ConnectionInner) {
        let mut unread = ReadBuffer::default();
        while let IoEvent::Read | IoEvent::Closing =
            poll_fn(|cx| self.poll_next(cx, conn, &mut unread)).await
        {}
    }
}
