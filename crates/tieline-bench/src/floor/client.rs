//! A client of the baseline server: its socket, and incomplete input and output.
//!
//! Must not know frames or other clients. Invariant: bytes are sent in order; what the socket does not
//! accept is kept, without a bound.

use std::io::{ErrorKind, Write};

use mio::net::TcpStream;

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: TcpStream,
    /// The handshake is done.
    pub(super) open: bool,
    pub(super) id: Option<Vec<u8>>,
    /// Input that is not a complete frame yet.
    pub(super) tail: Vec<u8>,
    /// Bytes that the socket did not accept.
    unsent: Vec<u8>,
}

impl Client {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            open: false,
            id: None,
            tail: Vec::new(),
            unsent: Vec::new(),
        }
    }

    /// Writes what the socket accepts, and keeps the rest; yields whether the connection is alive.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return true;
        }
        let Some(written) = self.write(bytes) else {
            return false;
        };
        self.unsent.extend_from_slice(&bytes[written..]);
        true
    }

    /// Writes unsent bytes.
    pub(super) fn flush(&mut self) -> bool {
        if self.unsent.is_empty() {
            return true;
        }
        let unsent = std::mem::take(&mut self.unsent);
        self.send(&unsent)
    }

    fn write(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut written = 0;
        while written < bytes.len() {
            match self.socket.write(&bytes[written..]) {
                Ok(count) => written += count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        Some(written)
    }
}
