//! What a connection's task does on its sending side: attaches the socket, writes what waits, ends it.
//!
//! Must not know what is sent or why. The task writes what other threads could not: what a full socket
//! left over, and everything on streams that only the task may touch.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::{io::AsyncWrite, net::tcp::OwnedWriteHalf};

use super::{
    inner::ConnectionInner,
    outbox::Flushed,
    send_side::{SendSide, WriteMode},
    state::{Activity, Lifecycle},
};
use crate::close::CloseReason;

impl ConnectionInner {
    /// Gives the outbox its socket, or `None` if only the task may write.
    pub(crate) fn attach(&self, socket: Option<OwnedWriteHalf>) {
        let mut send_side = self.send_side.lock();
        send_side.write_mode = socket.map_or(WriteMode::TaskOnly, WriteMode::Direct);
        send_side.flush(&self.state, true);
    }

    /// Gives up socket and outbox; the task has ended.
    pub(crate) fn end(&self) {
        self.send_side.lock().end(&self.state);
    }

    /// Sets whom to wake. The task calls it once: a spawned task keeps its waker.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        self.send_side.lock().waker = Some(waker.clone());
    }

    /// Writes what waits for the task, as far as the socket takes it, and registers for the rest.
    pub(crate) fn poll_flush(
        &self,
        cx: &mut Context<'_>,
        writer: Option<&mut (dyn AsyncWrite + Unpin + Send)>,
    ) {
        if !self.state.is(Activity::WRITE_PENDING) {
            return;
        }
        let mut send_side = self.send_side.lock();
        let result = match writer {
            Some(writer) => self.flush_writer(&mut send_side, cx, writer),
            None => self.flush_socket(&mut send_side, cx),
        };
        if let Err(e) = result {
            send_side.abort(&self.state, CloseReason::Lost(e.kind()));
        }
    }

    fn flush_socket(&self, send_side: &mut SendSide, cx: &mut Context<'_>) -> io::Result<()> {
        while self.state.is(Activity::WRITE_PENDING) {
            let WriteMode::Direct(socket) = &send_side.write_mode else {
                return Ok(());
            };
            match socket.as_ref().poll_write_ready(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(ready) => ready?,
            }
            // The client's kernel took bytes: that is a sign of life too.
            self.record_activity();
            self.state.set(Activity::WRITE_PENDING, false);
            send_side.flush(&self.state, false);
        }
        Ok(())
    }

    fn flush_writer(
        &self,
        send_side: &mut SendSide,
        cx: &mut Context<'_>,
        writer: &mut (dyn AsyncWrite + Unpin + Send),
    ) -> io::Result<()> {
        let mut writer = Pin::new(writer);
        let flushed = send_side.outbox.flush(&mut |slices| match writer
            .as_mut()
            .poll_write_vectored(cx, slices)
        {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        })?;
        let done = flushed == Flushed::Empty && writer.poll_flush(cx)?.is_ready();
        if done && self.state.is(Activity::WRITE_STALLED) {
            // Bytes that were stuck have left: the client's kernel took them, a sign of life.
            self.record_activity();
        }
        self.state.set(Activity::WRITE_STALLED, !done);
        if done {
            self.state.set(Activity::WRITE_PENDING, false);
        }
        Ok(())
    }

    /// Whether everything queued has left, the close frame of a requested close included.
    pub(crate) fn is_drained(&self) -> bool {
        self.state.lifecycle() != Lifecycle::CloseRequested
            && !self.state.is(Activity::WRITE_PENDING)
            && self.send_side.lock().outbox.is_empty()
    }
}
