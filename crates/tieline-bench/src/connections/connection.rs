//! A connection: its socket, and incomplete input and output.
//!
//! Owns the reassembly of frames, fragments and responses, the opening in the format of a wire, the answers to
//! pings and closes, and unsent bytes. Must not know the poll or other connections. After an error, the owner
//! has to drop it.

use std::{
    io::{self, ErrorKind},
    mem,
};

use crate::{
    frame::{self, Frame},
    handshake,
    http::Response,
    stream::Stream,
    wire::{Opening, Step},
};

/// A shorter tail is copied in front of the next read, so that frames are decoded in the read buffer. A
/// longer one stays, and the read is appended to it.
const SHORT_TAIL: usize = 16 * 1024;
/// The maximum length of a fragmented message.
const MAX_MESSAGE: usize = 1 << 30;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    stage: Stage,
    /// The opening that follows the upgrade; `None` once it is complete, and if the wire has none.
    opening: Option<Box<Opening>>,
    /// The wire has only text frames.
    text_only: bool,
    /// Messages, or requests, may be sent.
    pub(super) open: bool,
    /// When dialing began.
    pub(super) began: u64,
    /// Input that is not a complete frame yet.
    tail: Vec<u8>,
    /// The fragments of an incomplete message.
    fragments: Option<Vec<u8>>,
    /// Bytes that the socket did not accept.
    unsent: Vec<u8>,
    /// TLS has buffered records.
    tls_pending: bool,
}

/// What the bytes of the server are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The response to the upgrade request.
    Upgrading,
    /// Frames.
    WebSocket,
    /// Responses.
    Http,
}

/// The result of one read.
pub(super) struct ReadResult {
    pub(super) bytes: usize,
    /// The socket is empty.
    pub(super) last: bool,
}

impl Connection {
    /// A connection that is about to send its upgrade request.
    pub(super) fn new(stream: Stream, request: String, began: u64) -> Self {
        Self {
            stream,
            stage: Stage::Upgrading,
            opening: None,
            text_only: false,
            open: false,
            began,
            tail: Vec::new(),
            fragments: None,
            unsent: request.into(),
            tls_pending: false,
        }
    }

    /// A connection for requests, which is open as soon as the server has accepted it.
    pub(super) fn http(stream: Stream, began: u64) -> Self {
        Self {
            stage: Stage::Http,
            ..Self::new(stream, String::new(), began)
        }
    }

    /// The same with an opening that follows the upgrade, in a wire of text frames.
    pub(super) fn opening(self, opening: Opening) -> Self {
        Self {
            opening: Some(Box::new(opening)),
            text_only: true,
            ..self
        }
    }

    /// Opens a connection for requests, if the server has accepted it.
    pub(super) fn open_if_connected(&mut self) -> bool {
        let opens =
            !self.open && self.stage == Stage::Http && self.stream.socket().peer_addr().is_ok();
        self.open |= opens;
        opens
    }

    pub(super) fn is_congested(&self) -> bool {
        self.tls_pending || !self.unsent.is_empty()
    }

    #[inline]
    pub(super) fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(frames);
            return Ok(());
        }
        let written = self.stream.write(frames)?;
        self.unsent.extend_from_slice(&frames[written..]);
        self.tls_pending = self.stream.flush()?;
        Ok(())
    }

    /// Sends unsent bytes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let unsent = mem::take(&mut self.unsent);
        self.send(&unsent)
    }

    /// Sends a close frame, if the socket accepts it at once.
    pub(super) fn send_close(&mut self) {
        let mut close = Vec::new();
        control(&mut close, frame::CLOSE, &1000_u16.to_be_bytes());
        // The connection is dropped next, so an error changes nothing.
        let _ = self.send(&close);
    }

    /// Reads once, after the tail.
    pub(super) fn receive(&mut self, input: &mut [u8]) -> io::Result<Option<ReadResult>> {
        let held = match self.tail.len() {
            short @ ..SHORT_TAIL => short,
            _ => 0,
        };
        input[..held].copy_from_slice(&self.tail[..held]);
        let room = input.len() - held;
        loop {
            return match self.stream.read(&mut input[held..]) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => Ok(Some(ReadResult {
                    bytes,
                    last: self.stream.is_empty_after(bytes, room),
                })),
                Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => Err(e),
            };
        }
    }

    /// Decodes the bytes of [`receive`](Self::receive), and reports the messages.
    pub(super) fn process(
        &mut self,
        input: &mut [u8],
        bytes: usize,
        on_message: impl FnMut(&[u8]),
    ) -> Result<(), String> {
        if self.tail.len() < SHORT_TAIL {
            let all = &input[..self.tail.len() + bytes];
            let used = self.take(all, on_message)?;
            self.tail.clear();
            self.tail.extend_from_slice(&all[used..]);
        } else {
            let mut tail = mem::take(&mut self.tail);
            tail.extend_from_slice(&input[..bytes]);
            let used = self.take(&tail, on_message)?;
            tail.drain(..used);
            self.tail = tail;
        }
        Ok(())
    }

    /// Decodes all complete frames or responses; yields how many bytes they were.
    fn take(&mut self, bytes: &[u8], on_message: impl FnMut(&[u8])) -> Result<usize, String> {
        match self.stage {
            Stage::WebSocket => return self.frames(bytes, 0, on_message),
            Stage::Http => return responses(bytes, on_message),
            Stage::Upgrading => {}
        }
        let opening = self.opening.as_ref();
        let subprotocol = opening.and_then(|opening| opening.subprotocol());
        match handshake::response(bytes, subprotocol)? {
            None => Ok(0),
            Some(length) => {
                self.stage = Stage::WebSocket;
                self.open = self.opening.is_none();
                self.frames(bytes, length, on_message)
            }
        }
    }

    #[inline]
    fn frames(
        &mut self,
        bytes: &[u8],
        mut at: usize,
        mut on_message: impl FnMut(&[u8]),
    ) -> Result<usize, String> {
        while let Some(frame) = Frame::at(bytes, at).map_err(|e| format!("garbage: {e}"))? {
            at = frame.payload.end;
            let payload = &bytes[frame.payload.clone()];
            if frame.is_control() {
                self.control(frame.opcode, payload)?;
            } else if self.text_only && frame.opcode == frame::BINARY {
                return Err("garbage: a binary frame, and the wire has only text".to_owned());
            } else if frame.last && self.fragments.is_none() {
                self.message(payload, &mut on_message)?;
            } else {
                self.fragment(&frame, payload, &mut on_message)?;
            }
        }
        Ok(at)
    }

    /// Reports a message, or continues the opening with it.
    #[inline]
    fn message(
        &mut self,
        message: &[u8],
        on_message: &mut impl FnMut(&[u8]),
    ) -> Result<(), String> {
        if self.open {
            on_message(message);
            return Ok(());
        }
        self.greet(message)
    }

    #[cold]
    fn greet(&mut self, message: &[u8]) -> Result<(), String> {
        let Some(opening) = &mut self.opening else {
            return Ok(());
        };
        let step = opening.on_message(message)?;
        let complete = opening.is_complete();
        if let Step::Send(frames) = step {
            self.send(&frames)
                .map_err(|e| format!("a connection broke: {}", e.kind()))?;
        }
        if complete {
            self.open = true;
            self.opening = None;
        }
        Ok(())
    }

    fn control(&mut self, opcode: u8, payload: &[u8]) -> Result<(), String> {
        let mut answer = Vec::new();
        match opcode {
            frame::PING => control(&mut answer, frame::PONG, payload),
            frame::CLOSE => control(&mut answer, frame::CLOSE, payload),
            _ => return Ok(()),
        }
        let sent = self.send(&answer);
        match opcode {
            frame::CLOSE => Err(closed(payload)),
            _ => sent.map_err(|e| format!("a connection broke: {}", e.kind())),
        }
    }

    fn fragment(
        &mut self,
        frame: &Frame,
        payload: &[u8],
        on_message: &mut impl FnMut(&[u8]),
    ) -> Result<(), String> {
        if (frame.opcode == frame::CONTINUATION) != self.fragments.is_some() {
            return Err("garbage: a fragment out of sequence".to_owned());
        }
        let fragments = self.fragments.get_or_insert_default();
        fragments.extend_from_slice(payload);
        if fragments.len() > MAX_MESSAGE {
            return Err("garbage: a message is too long".to_owned());
        }
        if frame.last
            && let Some(message) = self.fragments.take()
        {
            return self.message(&message, on_message);
        }
        Ok(())
    }
}

/// Reports all complete responses; yields how many bytes they were.
fn responses(bytes: &[u8], mut on_response: impl FnMut(&[u8])) -> Result<usize, String> {
    let mut at = 0;
    while at < bytes.len() {
        let response = Response::at(bytes, at).map_err(|e| format!("garbage: {e}"))?;
        let Some(response) = response else { break };
        at = response.bytes.end;
        on_response(&bytes[response.bytes]);
    }
    Ok(at)
}

fn control(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    frame::header(out, opcode, payload.len(), true);
    out.extend_from_slice(payload);
}

fn closed(payload: &[u8]) -> String {
    match payload.split_first_chunk() {
        None => "the server closed a connection without a reason".to_owned(),
        Some((code, reason)) => {
            let code = u16::from_be_bytes(*code);
            let reason = String::from_utf8_lossy(reason);
            format!("the server closed a connection: {code} {reason}")
                .trim_end()
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
