//! The socket of a connection, as its task sees it.
//!
//! Owns the difference between a plain TCP socket, which any thread may write to, and other streams, which
//! only the task may touch. Must not know frames.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// A stream of bytes of unknown kind, TLS among them.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// What the task reads from and, if nobody else may, writes to.
pub(crate) enum Stream {
    /// The read half of a plain TCP socket. The outbox has the write half, so that any thread may write
    /// without waking the task.
    Tcp(OwnedReadHalf),
    /// A stream that only the task may touch: another task's poll would replace its waker.
    Other(Box<dyn Duplex>),
}

impl Stream {
    /// A plain socket: the task's half, and the outbox's.
    pub(crate) fn tcp(socket: TcpStream) -> (Self, Option<OwnedWriteHalf>) {
        // Fails only on a dead socket, which the first read reports.
        let _ = socket.set_nodelay(true);
        let (read, write) = socket.into_split();
        (Self::Tcp(read), Some(write))
    }

    /// A stream of unknown kind.
    pub(crate) fn other(stream: impl Duplex + 'static) -> (Self, Option<OwnedWriteHalf>) {
        (Self::Other(Box::new(stream)), None)
    }

    /// Reads into `space`; zero bytes mean the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(space);
        let polled = match self {
            Self::Tcp(half) => Pin::new(half).poll_read(cx, &mut buffer),
            Self::Other(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
        };
        polled.map_ok(|()| buffer.filled().len())
    }

    /// The writer, if only the task may write.
    pub(crate) fn writer(&mut self) -> Option<&mut (dyn AsyncWrite + Unpin + Send)> {
        match self {
            Self::Tcp(_) => None,
            Self::Other(stream) => Some(stream),
        }
    }

    /// Ends the sending direction, so that the client reads our last bytes and then the end.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            // Dropping the read half alone leaves the socket open; the client must see the end now.
            Self::Tcp(half) => {
                let socket = socket2::SockRef::from(half.as_ref());
                Poll::Ready(socket.shutdown(std::net::Shutdown::Write))
            }
            Self::Other(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
