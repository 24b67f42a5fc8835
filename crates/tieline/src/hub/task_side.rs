//! What a connection's task does with its member: attaches the socket, writes what waits.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::{io::AsyncWrite, net::tcp::OwnedWriteHalf};

use super::{
    inner::{ConnectionInner, signal},
    outbox::{Flushed, Outbox},
    send_side::{SendSide, WriteMode},
};
use crate::CloseReason;

impl ConnectionInner {
    /// Gives the outbox its socket, or `None` where only the task may write.
    pub(crate) fn attach(&self, socket: Option<OwnedWriteHalf>) {
        let mut send_side = self.send_side.lock();
        send_side.write_mode = socket.map_or(WriteMode::TaskOnly, WriteMode::Direct);
        self.flush(&mut send_side, true);
    }

    /// Gives up socket and queue; the task has ended.
    pub(crate) fn detach(&self) {
        let mut send_side = self.send_side.lock();
        send_side
            .closing
            .get_or_insert_with(|| Box::new(CloseReason::Lost(io::ErrorKind::NotConnected)));
        send_side.write_mode = WriteMode::Closed;
        send_side.outbox = Outbox::default();
        send_side.waker = None;
    }

    /// Remembers whom to wake. The task calls it once: a spawned task keeps its waker.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        self.send_side.lock().waker = Some(waker.clone());
    }

    /// Writes what waits for the task, as far as the socket takes it, and registers for the rest.
    pub(crate) fn poll_flush(
        &self,
        cx: &mut Context<'_>,
        writer: Option<&mut (dyn AsyncWrite + Unpin + Send)>,
    ) {
        if !self.has(signal::WRITE) {
            return;
        }
        let mut send_side = self.send_side.lock();
        let result = match writer {
            Some(writer) => self.flush_writer(&mut send_side, cx, writer),
            None => self.flush_socket(&mut send_side, cx),
        };
        if let Err(e) = result {
            self.begin_abort(&mut send_side, CloseReason::Lost(e.kind()));
        }
    }

    fn flush_socket(&self, send_side: &mut SendSide, cx: &mut Context<'_>) -> io::Result<()> {
        while self.has(signal::WRITE) {
            let WriteMode::Direct(socket) = &send_side.write_mode else {
                return Ok(());
            };
            match socket.as_ref().poll_write_ready(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(ready) => ready?,
            }
            // The peer's kernel took bytes: that is a sign of life too.
            self.record_activity();
            self.set(signal::WRITE, false);
            self.flush(send_side, false);
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
        if done && self.has(signal::STALLED) {
            // As above: bytes that would not go have gone.
            self.record_activity();
        }
        self.set(signal::STALLED, !done);
        if done {
            self.set(signal::WRITE, false);
        }
        Ok(())
    }

    /// Whether everything queued has left, a close that was asked for included.
    pub(crate) fn is_drained(&self) -> bool {
        let awaited = self.is_close_requested() && !self.is_closing();
        !awaited && !self.has(signal::WRITE) && self.send_side.lock().outbox.is_empty()
    }
}
