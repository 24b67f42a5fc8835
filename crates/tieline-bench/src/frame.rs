//! The subset of RFC 6455 frames that the load and the baseline server need.
//!
//! Parses frames in place and writes headers. Copies nothing and does not validate text.

use std::ops::Range;

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The length codes for an extended length of two and of eight bytes.
const MEDIUM: u8 = 0x7e;
const LONG: u8 = 0x7f;

/// A longer frame is treated as an error.
const MAX_LENGTH: u64 = 1 << 30;

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame has reserved bits set")]
    Reserved,
    #[error("a frame declares {0} bytes")]
    Length(u64),
}

/// A frame within a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) last: bool,
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) payload: Range<usize>,
}

impl Frame {
    /// Parses the frame at `at`; `None` if it is incomplete.
    #[inline]
    pub(crate) fn at(buffer: &[u8], at: usize) -> Result<Option<Self>, FrameError> {
        let Some((&[first, second], rest)) = buffer.get(at..).and_then(<[u8]>::split_first_chunk)
        else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err(FrameError::Reserved);
        }
        let Some((length, extended)) = length(second & LONG, rest)? else {
            return Ok(None);
        };
        let mut begin = at + 2 + extended;
        let mask = match second & 0x80 {
            0 => None,
            _ => match buffer[begin..].first_chunk() {
                Some(mask) => Some(*mask),
                None => return Ok(None),
            },
        };
        begin += if mask.is_some() { 4 } else { 0 };
        Ok((length <= buffer.len() - begin).then(|| Self {
            last: first & 0x80 != 0,
            opcode: first & 0x0f,
            mask,
            payload: begin..begin + length,
        }))
    }

    pub(crate) fn is_control(&self) -> bool {
        self.opcode & 8 != 0
    }
}

/// The length of the payload, and the number of bytes of its extended length.
#[inline]
fn length(seven: u8, rest: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
    let (length, extended) = match seven {
        MEDIUM => match rest.first_chunk() {
            Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 2),
            None => return Ok(None),
        },
        LONG => match rest.first_chunk() {
            Some(bytes) => (u64::from_be_bytes(*bytes), 8),
            None => return Ok(None),
        },
        short => (u64::from(short), 0),
    };
    match usize::try_from(length) {
        Ok(fits) if length <= MAX_LENGTH => Ok(Some((fits, extended))),
        _ => Err(FrameError::Length(length)),
    }
}

/// Appends the header of an unfragmented frame. A client's mask is zero, which leaves the payload as it
/// is: the key is valid, and the server has to unmask all the same.
pub(crate) fn header(out: &mut Vec<u8>, opcode: u8, length: usize, client: bool) {
    let mask = if client { 0x80 } else { 0 };
    out.push(0x80 | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..MEDIUM), _) => out.push(mask | short),
        (_, Ok(medium)) => {
            out.push(mask | MEDIUM);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(mask | LONG);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if client {
        out.extend_from_slice(&[0; 4]);
    }
}
