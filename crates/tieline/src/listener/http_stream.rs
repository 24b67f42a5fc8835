//! The stream of an HTTP connection: its writes time out, small ones leave together, and its place learns when bytes
//! come.
//!
//! Owns the timer of a write that waits, and what is kept while the [`Hold`] says so. Knows no HTTP. Invariant: bytes
//! leave in the order in which they were written.

use std::{
    io::{self, IoSlice},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{pipelining::Hold, places::Place};

/// Most bytes that are kept: some thirty responses without a body.
const MAX_HELD: usize = 4 * 1024;

/// Fails a write that has waited for `write_timeout`: a client that sends requests and never reads would keep
/// its connection for ever.
#[derive(Debug)]
pub(crate) struct HttpStream<S> {
    stream: S,
    place: Arc<Place>,
    write_timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    hold: Hold,
    /// What was written, and is to leave with what follows.
    held: Vec<u8>,
    /// Whether anything was written since the last flush.
    is_written: bool,
}

impl<S> HttpStream<S> {
    pub(super) fn new(stream: S, place: Arc<Place>, write_timeout: Duration) -> Self {
        Self {
            stream,
            place,
            write_timeout,
            timer: None,
            hold: Hold::default(),
            held: Vec::new(),
            is_written: false,
        }
    }

    pub(super) fn hold(&self) -> &Hold {
        &self.hold
    }

    /// The stream itself, once it is no longer an HTTP connection.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    fn limit<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.timer = None;
            return polled;
        }
        let timeout = self.write_timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(timeout)));
        timer
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> HttpStream<S> {
    /// Whether what is written is kept. Not while the socket is full: then hyper has to wait for it.
    fn holds(&self) -> bool {
        self.hold.holds() && self.timer.is_none()
    }

    /// Keeps these bytes, if that is possible.
    fn keep(&mut self, slices: &[IoSlice<'_>]) -> Option<usize> {
        self.is_written = true;
        let length = slices.iter().map(|slice| slice.len()).sum();
        if !self.holds() || self.held.len() + length > MAX_HELD {
            return None;
        }
        for slice in slices {
            self.held.extend_from_slice(slice);
        }
        self.hold.set_waits(true);
        Some(length)
    }

    /// Writes what was kept.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let polled = Pin::new(&mut self.stream).poll_write(cx, &self.held);
            let written = ready!(self.limit(cx, polled))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what was kept, and flushes.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_held(cx))?;
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        ready!(self.limit(cx, polled))?;
        self.hold.set_waits(false);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HttpStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.place.bytes_arrived();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HttpStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(kept) = self.keep(&[IoSlice::new(bytes)]) {
            return Poll::Ready(Ok(kept));
        }
        ready!(self.poll_held(cx))?;
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.limit(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(kept) = self.keep(slices) {
            return Poll::Ready(Ok(kept));
        }
        ready!(self.poll_held(cx))?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.limit(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.holds() {
            self.hold.set_waits(true);
        } else {
            ready!(self.poll_leave(cx))?;
        }
        if mem::take(&mut self.is_written) {
            // hyper flushes each response.
            self.hold.count_response();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_held(cx))?;
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.limit(cx, polled)
    }
}
