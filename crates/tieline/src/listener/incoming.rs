//! The socket that connections are accepted from.
//!
//! Owns the difference between TCP and Unix sockets, which ends here: a connection of a Unix socket goes on as a
//! [`TcpStream`] with its descriptor. Invariant: whoever asks the stream for an address gets an error, so nobody does;
//! the [`Peer`] has it.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use super::peer::Peer;

#[derive(Debug)]
pub(super) enum Incoming {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Incoming {
    /// The next connection. Cancel-safe.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        match self {
            Self::Tcp(tcp) => {
                let (stream, address) = tcp.accept().await?;
                Ok((stream, Peer::Address(address)))
            }
            #[cfg(unix)]
            Self::Unix(unix) => {
                let (stream, _) = unix.accept().await?;
                Ok((as_tcp(stream)?, Peer::Unix))
            }
        }
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.local_addr(),
            #[cfg(unix)]
            Self::Unix(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a Unix socket has no IP address",
            )),
        }
    }
}

/// All that follows, from the PROXY protocol to the writes of any thread, is reading, writing, peeking and shutting
/// down, which the kernel does alike for both.
#[cfg(unix)]
fn as_tcp(stream: UnixStream) -> io::Result<TcpStream> {
    use std::os::fd::OwnedFd;

    let socket = OwnedFd::from(stream.into_std()?);
    TcpStream::from_std(socket.into())
}
