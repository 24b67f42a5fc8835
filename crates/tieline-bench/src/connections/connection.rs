//! A connection: its socket, and what is unfinished in either direction.

use std::{
    io::{self, ErrorKind},
    mem,
};

use crate::{
    frame::{self, Frame},
    handshake,
    stream::Stream,
};

/// A tail beyond this stays where it is, and what comes is appended to it; a shorter one is copied
/// before what comes, so that frames are read where they arrived.
const SHORT: usize = 16 * 1024;
/// A message in more pieces than make this is given up.
const LONGEST: usize = 1 << 30;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    /// The handshake is over.
    pub(super) open: bool,
    /// When it was begun.
    pub(super) began: u64,
    /// What was read and makes no whole frame yet.
    tail: Vec<u8>,
    /// The fragments of a message that is not complete.
    fragments: Option<Vec<u8>>,
    /// What the socket did not take.
    unsent: Vec<u8>,
    /// TLS holds something back.
    held_back: bool,
}

/// What one read brought.
pub(super) struct Read {
    pub(super) bytes: usize,
    /// There is nothing more to read now.
    pub(super) last: bool,
}

impl Connection {
    /// A connection that asks to be opened.
    pub(super) fn new(stream: Stream, request: String, began: u64) -> Self {
        Self {
            stream,
            open: false,
            began,
            tail: Vec::new(),
            fragments: None,
            unsent: request.into(),
            held_back: false,
        }
    }

    pub(super) fn is_congested(&self) -> bool {
        self.held_back || !self.unsent.is_empty()
    }

    #[inline]
    pub(super) fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(frames);
            return Ok(());
        }
        let written = self.stream.write(frames)?;
        self.unsent.extend_from_slice(&frames[written..]);
        self.held_back = self.stream.flush()?;
        Ok(())
    }

    /// Sends what was kept.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let unsent = mem::take(&mut self.unsent);
        self.send(&unsent)
    }

    /// Says that it closes, if that can be said at once.
    pub(super) fn say_farewell(&mut self) {
        let mut farewell = Vec::new();
        control(&mut farewell, frame::CLOSE, &1000_u16.to_be_bytes());
        // It is about to be dropped anyway.
        let _ = self.send(&farewell);
    }

    /// Reads once, behind whatever is unfinished.
    pub(super) fn receive(&mut self, input: &mut [u8]) -> io::Result<Option<Read>> {
        let held = match self.tail.len() {
            short @ ..SHORT => short,
            _ => 0,
        };
        input[..held].copy_from_slice(&self.tail[..held]);
        let room = input.len() - held;
        loop {
            return match self.stream.read(&mut input[held..]) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => Ok(Some(Read {
                    bytes,
                    last: self.stream.is_empty_after(bytes, room),
                })),
                Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => Err(e),
            };
        }
    }

    /// Takes what [`receive`](Self::receive) brought, and says what messages it makes.
    pub(super) fn process(
        &mut self,
        input: &mut [u8],
        bytes: usize,
        told: impl FnMut(&[u8]),
    ) -> Result<(), String> {
        if self.tail.len() < SHORT {
            let all = &input[..self.tail.len() + bytes];
            let used = self.take(all, told)?;
            self.tail.clear();
            self.tail.extend_from_slice(&all[used..]);
        } else {
            let mut tail = mem::take(&mut self.tail);
            tail.extend_from_slice(&input[..bytes]);
            let used = self.take(&tail, told)?;
            tail.drain(..used);
            self.tail = tail;
        }
        Ok(())
    }

    /// Reads all that is complete, and says how many bytes that was.
    fn take(&mut self, bytes: &[u8], told: impl FnMut(&[u8])) -> Result<usize, String> {
        if self.open {
            return self.frames(bytes, 0, told);
        }
        match handshake::response(bytes)? {
            None => Ok(0),
            Some(length) => {
                self.open = true;
                self.frames(bytes, length, told)
            }
        }
    }

    #[inline]
    fn frames(
        &mut self,
        bytes: &[u8],
        mut at: usize,
        mut told: impl FnMut(&[u8]),
    ) -> Result<usize, String> {
        while let Some(frame) = Frame::at(bytes, at).map_err(|e| format!("garbage: {e}"))? {
            at = frame.payload.end;
            let payload = &bytes[frame.payload.clone()];
            if frame.is_control() {
                self.control(frame.opcode, payload)?;
            } else if frame.last && self.fragments.is_none() {
                told(payload);
            } else {
                self.fragment(&frame, payload, &mut told)?;
            }
        }
        Ok(at)
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
        told: &mut impl FnMut(&[u8]),
    ) -> Result<(), String> {
        if (frame.opcode == frame::CONTINUATION) != self.fragments.is_some() {
            return Err("garbage: a fragment without its beginning or its end".to_owned());
        }
        let fragments = self.fragments.get_or_insert_default();
        fragments.extend_from_slice(payload);
        if fragments.len() > LONGEST {
            return Err("garbage: a message without end".to_owned());
        }
        if frame.last
            && let Some(message) = self.fragments.take()
        {
            told(&message);
        }
        Ok(())
    }
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
