//! The socket of a connection, as its task sees it.
//!
//! Owns the difference between a plain TCP socket, which any thread may write to, and other streams, which
//! only the task may touch. Must not know frames.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::foreign::{Duplex, ForeignStream};
#[cfg(feature = "tls")]
use super::tls::TlsSocket;
use crate::hub::TaskStream;

/// What the task reads from and, if nobody else may, writes to.
pub(crate) enum Stream {
    /// The read half of a plain TCP socket. The outbox has the write half, so that any thread may write
    /// without waking the task.
    Tcp(OwnedReadHalf),
    /// TLS over TCP. Encryption is the task's work alone.
    #[cfg(feature = "tls")]
    Tls(Box<TlsSocket>),
    /// A stream that only the task may touch: another task's poll would replace its waker.
    Foreign(Box<ForeignStream>),
}

impl Stream {
    /// A plain socket: the task's half, and the outbox's.
    pub(crate) fn tcp(socket: TcpStream) -> (Self, Option<OwnedWriteHalf>) {
        // Fails only on a dead socket, which the first read reports.
        let _ = socket.set_nodelay(true);
        let (read, write) = socket.into_split();
        (Self::Tcp(read), Some(write))
    }

    /// TLS over TCP.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(socket: TlsSocket) -> (Self, Option<OwnedWriteHalf>) {
        (Self::Tls(Box::new(socket)), None)
    }

    /// A stream of unknown kind.
    pub(crate) fn foreign(stream: impl Duplex + 'static) -> (Self, Option<OwnedWriteHalf>) {
        (Self::Foreign(Box::new(ForeignStream::new(stream))), None)
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
            #[cfg(feature = "tls")]
            Self::Tls(socket) => Pin::new(socket.stream()).poll_read(cx, &mut buffer),
            Self::Foreign(stream) => Pin::new(stream.stream()).poll_read(cx, &mut buffer),
        };
        polled.map_ok(|()| buffer.filled().len())
    }

    /// Whether the kernel holds bytes or an end that the runtime may not know of yet: it learns of them when
    /// it looks at its sockets, and after a pause of the process the timers may come first. Unknown, and
    /// therefore false, for streams of unknown kind.
    pub(crate) fn has_unread(&self) -> bool {
        let socket = match self {
            Self::Tcp(half) => half.as_ref(),
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.tcp(),
            Self::Foreign(_) => return false,
        };
        let mut sockets = [PollFd::new(socket, PollFlags::IN)];
        poll(&mut sockets, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Whether the client has ended its direction or is gone, even if it has left bytes to be read. Unknown, and
    /// therefore false, for streams of unknown kind, and on systems that do not tell.
    pub(crate) fn has_left(&self) -> bool {
        #[cfg(target_os = "linux")]
        const GONE: PollFlags = PollFlags::RDHUP;
        #[cfg(not(target_os = "linux"))]
        const GONE: PollFlags = PollFlags::empty();
        let socket = match self {
            Self::Tcp(half) => half.as_ref(),
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.tcp(),
            Self::Foreign(_) => return false,
        };
        // An error or a reset is reported without being asked for.
        let mut sockets = [PollFd::new(socket, GONE)];
        poll(&mut sockets, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// The writer, if only the task may write.
    pub(crate) fn writer(&mut self) -> Option<&mut dyn TaskStream> {
        match self {
            Self::Tcp(_) => None,
            #[cfg(feature = "tls")]
            Self::Tls(socket) => Some(&mut **socket),
            Self::Foreign(stream) => Some(&mut **stream),
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
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.poll_shutdown(cx),
            Self::Foreign(stream) => stream.poll_shutdown(cx),
        }
    }
}
