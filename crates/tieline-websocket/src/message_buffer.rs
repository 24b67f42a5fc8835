//! The payload of an incomplete message. Checks text as it arrives (RFC 6455, section 8.1).
//!
//! Knows neither frames nor limits. Invariant: `MessageBuffer::Text::text` is valid UTF-8, and `tail`
//! holds at most three bytes of one incomplete character, so that the first byte that cannot belong
//! to valid UTF-8 is refused when it arrives. Collecting into a `String` saves a second check of the
//! whole text at the end.

use crate::{error::ProtocolError, message::Message};

/// The payload that has arrived so far.
#[derive(Debug)]
pub(crate) enum MessageBuffer {
    Text { text: String, tail: PartialChar },
    Binary(Vec<u8>),
}

/// The first bytes of a character whose last bytes have not arrived.
#[derive(Debug, Default)]
pub(crate) struct PartialChar {
    bytes: [u8; 4],
    len: usize,
}

impl MessageBuffer {
    /// An empty buffer for a text or a binary message.
    pub(crate) fn of(text: bool) -> Self {
        if text {
            let (text, tail) = (String::new(), PartialChar::default());
            MessageBuffer::Text { text, tail }
        } else {
            MessageBuffer::binary()
        }
    }

    pub(crate) fn binary() -> Self {
        MessageBuffer::Binary(Vec::new())
    }

    /// The number of bytes so far.
    pub(crate) fn len(&self) -> usize {
        match self {
            MessageBuffer::Text { text, tail } => text.len() + tail.len,
            MessageBuffer::Binary(bytes) => bytes.len(),
        }
    }

    /// Makes room for `arrived` more bytes, of `expected` that the frame declares (`arrived`
    /// included). Capacity doubles, so that copying stays linear, but never exceeds what is expected:
    /// a message from one frame ends without slack.
    pub(crate) fn reserve(&mut self, arrived: usize, expected: usize) {
        let (len, capacity) = match self {
            MessageBuffer::Text { text, .. } => (text.len(), text.capacity()),
            MessageBuffer::Binary(bytes) => (bytes.len(), bytes.capacity()),
        };
        if capacity - len >= arrived {
            return;
        }
        let grow = len.min(expected).max(arrived);
        match self {
            MessageBuffer::Text { text, .. } => text.reserve_exact(grow),
            MessageBuffer::Binary(bytes) => bytes.reserve_exact(grow),
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        match self {
            MessageBuffer::Text { text, tail } => push_text(text, tail, bytes),
            MessageBuffer::Binary(buffer) => {
                buffer.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Takes what is complete out of the buffer; the first bytes of a character stay.
    pub(crate) fn take(&mut self) -> Message {
        match self {
            MessageBuffer::Text { text, .. } => Message::Text(std::mem::take(text)),
            MessageBuffer::Binary(bytes) => Message::Binary(std::mem::take(bytes)),
        }
    }

    /// Completes the message; fails if text ends within a character.
    pub(crate) fn finish(self) -> Result<Message, ProtocolError> {
        match self {
            MessageBuffer::Text { text, tail } if tail.len == 0 => Ok(Message::Text(text)),
            MessageBuffer::Text { .. } => Err(ProtocolError::InvalidUtf8),
            MessageBuffer::Binary(bytes) => Ok(Message::Binary(bytes)),
        }
    }
}

fn push_text(
    text: &mut String,
    tail: &mut PartialChar,
    mut bytes: &[u8],
) -> Result<(), ProtocolError> {
    // Completing the partial character takes at most three iterations.
    while tail.len > 0 {
        let Some((first, rest)) = bytes.split_first() else {
            return Ok(());
        };
        bytes = rest;
        tail.bytes[tail.len] = *first;
        tail.len += 1;
        let (valid, pending) = split_valid(&tail.bytes[..tail.len])?;
        if pending.is_empty() {
            text.push_str(valid);
            tail.len = 0;
        }
    }
    let (valid, pending) = split_valid(bytes)?;
    text.push_str(valid);
    tail.bytes[..pending.len()].copy_from_slice(pending);
    tail.len = pending.len();
    Ok(())
}

/// Splits `bytes` into valid text and a partial character of at most three bytes.
fn split_valid(bytes: &[u8]) -> Result<(&str, &[u8]), ProtocolError> {
    let error = match simdutf8::compat::from_utf8(bytes) {
        Ok(valid) => return Ok((valid, &[])),
        Err(error) if error.error_len().is_some() => return Err(ProtocolError::InvalidUtf8),
        Err(error) => error,
    };
    let (valid, pending) = bytes.split_at(error.valid_up_to());
    let valid = simdutf8::basic::from_utf8(valid).map_err(|_| ProtocolError::InvalidUtf8)?;
    Ok((valid, pending))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds byte by byte; the index of the first byte that is refused.
    fn refused_at(bytes: &[u8]) -> Option<usize> {
        let mut buffer = MessageBuffer::of(true);
        bytes
            .iter()
            .position(|byte| buffer.push(std::slice::from_ref(byte)).is_err())
    }

    #[test]
    fn each_malformed_sequence_is_refused_at_its_first_bad_byte() {
        for (bytes, position) in [
            (&b"\x80"[..], 0),
            (b"\xc0\x80", 0),
            (b"\xc1", 0),
            (b"\xc3\x28", 1),
            (b"\xe0\x9f", 1),
            (b"\xe2\x82\x28", 2),
            (b"\xe2\x28", 1),
            (b"\xed\xa0", 1),
            (b"\xf0\x8f", 1),
            (b"\xf0\x9f\x98\x28", 3),
            (b"\xf0\x9f\x28", 2),
            (b"\xf4\x90", 1),
            (b"\xf5", 0),
            (b"\xff", 0),
            (b"ok \xc3\xbc\xc3\xc3", 6),
        ] {
            assert_eq!(refused_at(bytes), Some(position), "{bytes:x?}");
        }
    }

    #[test]
    fn every_character_survives_every_split() {
        let text = "aü€😀\u{0}\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}z";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut buffer = MessageBuffer::of(true);
                let bytes = text.as_bytes();
                for part in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    assert_eq!(buffer.push(part), Ok(()));
                }
                assert_eq!(buffer.len(), text.len());
                assert_eq!(buffer.finish(), Ok(Message::Text(text.into())));
            }
        }
    }

    #[test]
    fn text_that_ends_within_a_character_is_refused() {
        for end in 1..4 {
            let mut buffer = MessageBuffer::of(true);
            assert_eq!(buffer.push(&"😀".as_bytes()[..end]), Ok(()));
            assert_eq!(buffer.finish(), Err(ProtocolError::InvalidUtf8));
        }
    }

    #[test]
    fn capacity_follows_what_arrived_and_ends_exact() {
        for mut buffer in [MessageBuffer::of(true), MessageBuffer::binary()] {
            let (total, part) = (100_000, [b'x'; 100]);
            for missing in (1..=total / part.len()).rev().map(|n| n * part.len()) {
                buffer.reserve(part.len(), missing);
                assert_eq!(buffer.push(&part), Ok(()));
                let capacity = match &buffer {
                    MessageBuffer::Text { text, .. } => text.capacity(),
                    MessageBuffer::Binary(bytes) => bytes.capacity(),
                };
                assert!(capacity <= total.min(2 * buffer.len()));
            }
            assert_eq!(buffer.len(), total);
        }
    }
}
