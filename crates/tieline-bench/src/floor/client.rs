//! A client of the bare server: its socket, and what is unfinished in either direction.

use std::io::{ErrorKind, Write};

use mio::net::TcpStream;

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: TcpStream,
    /// The handshake is over.
    pub(super) open: bool,
    pub(super) id: Option<Vec<u8>>,
    /// What was read and makes no whole frame yet.
    pub(super) tail: Vec<u8>,
    /// What the socket did not take.
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

    /// Writes what the socket takes, and keeps the rest; says whether the connection goes on.
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

    /// Writes what was kept.
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
