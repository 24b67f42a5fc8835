//! A stream of unknown kind, such as that of another HTTP server.
//!
//! Owns the bytes that the stream did not take yet. Must not know what they mean.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::hub::TaskStream;

/// A stream of bytes of unknown kind.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A stream of unknown kind, with what it has to send.
pub(crate) struct ForeignStream {
    stream: Box<dyn Duplex>,
    /// Freed when it was sent: an idle connection holds no buffer.
    staged: Vec<u8>,
    sent: usize,
}

impl ForeignStream {
    pub(super) fn new(stream: impl Duplex + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            staged: Vec::new(),
            sent: 0,
        }
    }

    pub(super) fn stream(&mut self) -> &mut dyn Duplex {
        &mut self.stream
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl TaskStream for ForeignStream {
    fn stage(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.staged.extend_from_slice(bytes);
        Ok(())
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, sent: &mut usize) -> Poll<io::Result<()>> {
        if self.staged.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.sent < self.staged.len() {
            let rest = &self.staged[self.sent..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => {
                    self.sent += n;
                    *sent += n;
                }
            }
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.staged = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}
