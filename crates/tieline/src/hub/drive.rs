//! What a connection's task does with its member: attaches the socket, writes what waits.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::{io::AsyncWrite, net::tcp::OwnedWriteHalf};

use super::{
    egress::{Egress, Sink},
    member::{Member, signal},
    outbox::{Flushed, Outbox},
};
use crate::CloseReason;

impl Member {
    /// Gives the outbox its socket, or `None` where only the task may write.
    pub(crate) fn attach(&self, socket: Option<OwnedWriteHalf>) {
        let mut egress = self.egress.lock();
        egress.sink = socket.map_or(Sink::Task, Sink::Direct);
        self.flush(&mut egress, true);
    }

    /// Gives up socket and queue; the task has ended.
    pub(crate) fn detach(&self) {
        let mut egress = self.egress.lock();
        egress
            .closing
            .get_or_insert_with(|| Box::new(CloseReason::Lost(io::ErrorKind::NotConnected)));
        egress.sink = Sink::Gone;
        egress.outbox = Outbox::default();
        egress.waker = None;
    }

    /// Remembers whom to wake. The task calls it once: a spawned task keeps its waker.
    pub(crate) fn watch(&self, waker: &Waker) {
        self.egress.lock().waker = Some(waker.clone());
    }

    /// Writes what waits for the task, as far as the socket takes it, and registers for the rest.
    pub(crate) fn drive(
        &self,
        cx: &mut Context<'_>,
        writer: Option<&mut (dyn AsyncWrite + Unpin + Send)>,
    ) {
        if !self.has(signal::WRITE) {
            return;
        }
        let mut egress = self.egress.lock();
        let result = match writer {
            Some(writer) => self.drive_writer(&mut egress, cx, writer),
            None => self.drive_socket(&mut egress, cx),
        };
        if let Err(e) = result {
            self.begin_abort(&mut egress, CloseReason::Lost(e.kind()));
        }
    }

    fn drive_socket(&self, egress: &mut Egress, cx: &mut Context<'_>) -> io::Result<()> {
        while self.has(signal::WRITE) {
            let Sink::Direct(socket) = &egress.sink else {
                return Ok(());
            };
            match socket.as_ref().poll_write_ready(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(ready) => ready?,
            }
            // The peer's kernel took bytes: that is a sign of life too.
            self.heard();
            self.set(signal::WRITE, false);
            self.flush(egress, false);
        }
        Ok(())
    }

    fn drive_writer(
        &self,
        egress: &mut Egress,
        cx: &mut Context<'_>,
        writer: &mut (dyn AsyncWrite + Unpin + Send),
    ) -> io::Result<()> {
        let mut writer = Pin::new(writer);
        let flushed = egress.outbox.flush(&mut |slices| match writer
            .as_mut()
            .poll_write_vectored(cx, slices)
        {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        })?;
        let done = flushed == Flushed::Empty && writer.poll_flush(cx)?.is_ready();
        if done && self.has(signal::STALLED) {
            // As above: bytes that would not go have gone.
            self.heard();
        }
        self.set(signal::STALLED, !done);
        if done {
            self.set(signal::WRITE, false);
        }
        Ok(())
    }

    /// Whether everything queued has left, a close that was asked for included.
    pub(crate) fn is_drained(&self) -> bool {
        let awaited = self.is_leaving() && !self.is_closing();
        !awaited && !self.has(signal::WRITE) && self.egress.lock().outbox.is_empty()
    }
}
