//! A non-blocking socket, with or without TLS.
//!
//! Owns the TLS session. Must not know WebSocket. Invariant: no call blocks, and a write may accept
//! fewer bytes than it gets.

use std::{
    io::{self, ErrorKind, Read, Write},
    sync::Arc,
};

use mio::net::TcpStream;
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

/// A socket.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<Tls>),
}

/// A socket with TLS.
#[derive(Debug)]
pub(crate) struct Tls {
    socket: TcpStream,
    session: ClientConnection,
}

impl Stream {
    pub(crate) fn tls(
        socket: TcpStream,
        config: &Arc<ClientConfig>,
        host: &str,
    ) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("{host:?} is not a valid TLS server name"))?;
        let session =
            ClientConnection::new(Arc::clone(config), name).map_err(|e| format!("tls: {e}"))?;
        Ok(Self::Tls(Box::new(Tls { socket, session })))
    }

    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &mut tls.socket,
        }
    }

    /// Whether a read of `read` of `room` bytes emptied the socket. TLS yields one record at a time, so a
    /// short read says nothing there.
    pub(crate) fn is_empty_after(&self, read: usize, room: usize) -> bool {
        matches!(self, Self::Plain(_)) && read < room
    }

    #[inline]
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    /// Writes as much as the socket accepts, which may be nothing.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => write_some(socket, bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    /// Writes the records that TLS has buffered; yields whether any are left.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(false),
            Self::Tls(tls) => {
                tls.push()?;
                Ok(tls.session.wants_write())
            }
        }
    }
}

impl Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            if self.session.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            let processed = self.session.process_new_packets();
            // Send the alert even if the input is invalid.
            self.push()?;
            processed.map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < bytes.len() {
            let taken = self.session.writer().write(&bytes[written..])?;
            written += taken;
            self.push()?;
            if taken == 0 {
                break;
            }
        }
        Ok(written)
    }

    fn push(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

fn write_some(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match socket.write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(written)
}
