//! The input of a header, a frame and a message that are incomplete.
//!
//! Owns the buffers and enforces the limits; knows neither the close handshake nor the use of a
//! message. Invariants: limits are checked when a header arrives, before payload is stored; memory
//! grows only by bytes that have arrived.

use crate::header::{self, Context, HEADER_MAX, Header, Opcode};
use crate::mask::{self, unmask};
use crate::message_buffer::MessageBuffer;
use crate::{chunk::Chunk, deflate, error::ProtocolError, limits::Limits, message::Message};

/// The part of a connection's state that exists only while input is incomplete.
#[derive(Debug, Default)]
pub(super) struct PartialInput {
    /// The first bytes of an incomplete header.
    header: [u8; HEADER_MAX],
    header_len: usize,
    /// The frame whose payload is arriving; `length` and `mask` are those of the missing bytes.
    frame: Option<Header>,
    /// The payload of a control frame.
    control: Vec<u8>,
    /// The message whose frames are arriving; control frames may come between them.
    message: Option<Reassembly>,
}

impl PartialInput {
    pub(super) fn in_header(&self) -> bool {
        self.header_len > 0
    }

    pub(super) fn in_frame(&self) -> bool {
        self.frame.is_some()
    }

    pub(super) fn in_message(&self) -> bool {
        self.message.is_some()
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.in_header() && !self.in_frame() && !self.in_message()
    }

    /// Stores a header that `header::parse` found incomplete.
    pub(super) fn keep_header(&mut self, input: &[u8]) {
        self.header[..input.len()].copy_from_slice(input);
        self.header_len = input.len();
    }

    /// Completes a stored header from `input`: yields it and how many bytes of `input` belong to it,
    /// or `None` if all do and it is still incomplete.
    pub(super) fn complete_header(
        &mut self,
        input: &[u8],
        context: Context,
    ) -> Result<Option<(Header, usize)>, ProtocolError> {
        let kept = self.header_len;
        let end = HEADER_MAX.min(kept + input.len());
        self.header[kept..end].copy_from_slice(&input[..end - kept]);
        let parsed = header::parse(&self.header[..end], context)?;
        self.header_len = if parsed.is_some() { 0 } else { end };
        Ok(parsed.map(|(header, size)| (header, size - kept)))
    }

    /// Begins a frame. `limits` is `None` if its payload will not be kept: it is discarded, or passed on in pieces.
    pub(super) fn begin_frame(
        &mut self,
        header: Header,
        limits: Option<&Limits>,
    ) -> Result<(), ProtocolError> {
        if !header.opcode.is_control() {
            let assembly = self.message.get_or_insert_with(|| Reassembly::new(&header));
            assembly.add_frame(&header, limits)?;
        }
        self.frame = Some(header);
        Ok(())
    }

    /// Takes payload of the current frame from `input`: yields how many bytes, and the frame if it is
    /// complete. Stores the payload of a data frame only if `keep` is set.
    pub(super) fn feed(
        &mut self,
        input: &mut [u8],
        keep: bool,
    ) -> Result<(usize, Option<Header>), ProtocolError> {
        let Some(frame) = &mut self.frame else {
            return Ok((0, None));
        };
        let missing = usize::try_from(frame.length).unwrap_or(usize::MAX);
        let taken = missing.min(input.len());
        let payload = &mut input[..taken];
        if frame.opcode.is_control() {
            unmask(payload, frame.mask);
            self.control.extend_from_slice(payload);
        } else if let Some(message) = &mut self.message
            && keep
        {
            unmask(payload, frame.mask);
            message.push(payload, missing)?;
        }
        frame.length -= taken as u64;
        frame.mask = mask::advance(frame.mask, taken);
        let done = self.frame.take_if(|frame| frame.length == 0);
        Ok((taken, done))
    }

    /// The payload of a complete control frame.
    pub(super) fn take_control(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.control)
    }

    /// What has arrived of the message since the last call, if anything.
    pub(super) fn take_chunk(&mut self) -> Option<Chunk> {
        self.message.as_mut().and_then(Reassembly::take_chunk)
    }

    /// The message whose last frame is complete.
    pub(super) fn take_message(&mut self) -> Option<Reassembly> {
        self.message.take()
    }

    /// Frees the payload of an incomplete message, but not its state: its further frames are legal.
    pub(super) fn discard(&mut self) {
        if let Some(message) = &mut self.message {
            message.buffer = MessageBuffer::binary();
        }
    }
}

/// A message whose frames are arriving.
#[derive(Debug)]
pub(super) struct Reassembly {
    text: bool,
    compressed: bool,
    frames: u32,
    /// Bytes that were passed on as chunks.
    passed: u64,
    /// The payload so far without those, compressed if the message is.
    buffer: MessageBuffer,
}

impl Reassembly {
    fn new(header: &Header) -> Self {
        let text = header.opcode == Opcode::Text;
        let buffer = if header.compressed {
            MessageBuffer::binary()
        } else {
            MessageBuffer::of(text)
        };
        Reassembly {
            text,
            compressed: header.compressed,
            frames: 0,
            passed: 0,
            buffer,
        }
    }

    fn add_frame(&mut self, header: &Header, limits: Option<&Limits>) -> Result<(), ProtocolError> {
        let Some(limits) = limits else {
            return Ok(());
        };
        check_size(limits, self.compressed, self.buffer.len(), header.length)?;
        self.frames += 1;
        // A message in a single frame always passes.
        if self.frames > limits.fragments.max(1) {
            return Err(ProtocolError::TooManyFragments {
                limit: limits.fragments,
            });
        }
        Ok(())
    }

    fn push(&mut self, payload: &[u8], missing: usize) -> Result<(), ProtocolError> {
        self.buffer.reserve(payload.len(), missing);
        self.buffer.push(payload)
    }

    fn take_chunk(&mut self) -> Option<Chunk> {
        let data = self.buffer.take();
        let (offset, length) = (self.passed, data.len() as u64);
        self.passed += length;
        (length > 0).then(|| Chunk::new(data, offset, false))
    }

    /// The last chunk; fails if text ends within a character.
    pub(super) fn last_chunk(self) -> Result<Chunk, ProtocolError> {
        let offset = self.passed;
        Ok(Chunk::new(self.buffer.finish()?, offset, true))
    }

    pub(super) fn finish(self, limits: &Limits) -> Result<Message, ProtocolError> {
        match self.buffer {
            MessageBuffer::Binary(compressed) if self.compressed => {
                deflate::inflate(&compressed, limits.message, self.text)
            }
            buffer => buffer.finish(),
        }
    }
}

/// Refuses a frame of `length` bytes after `so_far` bytes of its message.
pub(super) fn check_size(
    limits: &Limits,
    compressed: bool,
    so_far: usize,
    length: u64,
) -> Result<(), ProtocolError> {
    let limit = if compressed {
        limits.compressed()
    } else {
        limits.message
    };
    // `length` comes from the client, so the sum saturates.
    if (so_far as u64).saturating_add(length) > limit as u64 {
        return Err(ProtocolError::MessageTooBig {
            limit: limits.message,
        });
    }
    Ok(())
}
