//! The fast path: a message in one uncompressed frame below 64 KiB, which nearly every message is.
//!
//! Knows neither the state of the connection nor errors of the framing: it declines whatever is not
//! a plain message, and the general path decides. Invariant: what it decodes, the general path
//! decodes in the same way; the tests compare them.
//!
//! It exists because [`header::parse`](crate::header::parse) returns a structure through memory,
//! written in small pieces and read in large ones, which stalls the processor: a tenth of the time
//! of an echo server. Here, the fields of a header stay in registers.

use crate::error::ProtocolError;
use crate::mask::unmask;
use crate::message::Message;

const FIN_TEXT: u8 = 0x81;
const FIN_BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;
const MASKED_16_BITS: u8 = 0xfe;

/// A frame that is a message by itself, complete in the input and within the limit.
pub(super) struct PlainFrame<'a> {
    text: bool,
    mask: [u8; 4],
    payload: &'a mut [u8],
    /// Bytes of the frame, header included.
    pub(super) size: usize,
}

impl<'a> PlainFrame<'a> {
    /// The plain message at the start of `input`, of at most `limit` bytes.
    #[inline]
    pub(super) fn find(input: &'a mut [u8], limit: usize) -> Option<Self> {
        let &mut [first, second, high, low, ..] = input else {
            return None;
        };
        let text = match first {
            FIN_TEXT => true,
            FIN_BINARY => false,
            _ => return None,
        };
        let (length, header) = match second {
            MASKED..MASKED_16_BITS => (usize::from(second - MASKED), 6),
            MASKED_16_BITS => (usize::from(u16::from_be_bytes([high, low])), 8),
            _ => return None,
        };
        let minimal = header == 6 || length >= 126;
        if !minimal || length > limit {
            return None;
        }
        let size = header + length;
        let (mask, payload) = input.get_mut(header - 4..size)?.split_first_chunk_mut()?;
        Some(PlainFrame {
            text,
            mask: *mask,
            payload,
            size,
        })
    }

    /// Unmasks the payload in place and copies it into a message.
    #[inline]
    pub(super) fn decode(self) -> Result<Message, ProtocolError> {
        unmask(self.payload, self.mask);
        Message::decode(self.text, self.payload)
    }
}
