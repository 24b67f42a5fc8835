//! TLS over a TCP socket.
//!
//! Owns the writing of encrypted bytes to the socket. Must not know what they mean. Invariant: bytes are
//! encrypted only when everything encrypted before has left, so that one record waits at most, and what the
//! socket takes is known to the byte.

use std::{
    io::{self, IoSlice, Write},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{io::AsyncWrite, net::TcpStream};
use tokio_rustls::server::TlsStream;

use crate::hub::{TaskStream, send_now};

/// A TLS stream, of which the sending half is driven here.
pub(crate) struct TlsSocket(TlsStream<TcpStream>);

impl TlsSocket {
    pub(super) fn new(stream: TlsStream<TcpStream>) -> Self {
        Self(stream)
    }

    pub(super) fn stream(&mut self) -> &mut TlsStream<TcpStream> {
        &mut self.0
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        self.0.get_ref().0
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl TaskStream for TlsSocket {
    fn stage(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (_, session) = self.0.get_mut();
        session.writer().write_all(bytes)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, sent: &mut usize) -> Poll<io::Result<()>> {
        let (tcp, session) = self.0.get_mut();
        while session.wants_write() {
            match session.write_tls(&mut SocketWriter { tcp, cx }) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => *sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The socket as rustls writes to it.
struct SocketWriter<'a, 'b> {
    tcp: &'a mut TcpStream,
    cx: &'a mut Context<'b>,
}

impl Write for SocketWriter<'_, '_> {
    /// Tries the socket itself before the runtime's view of it, which may be behind. If the socket is full,
    /// the task is woken once it has room.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match send_now(self.tcp, &[IoSlice::new(bytes)]) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
        match Pin::new(&mut *self.tcp).poll_write(self.cx, bytes) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
