//! The body of a message while it grows; text is checked as it arrives (RFC 6455, section 8.1).
//!
//! Knows no frames and no limits. Invariant: everything in `Body::Text::text` is valid UTF-8 and
//! `tail` holds the up to three bytes of one unfinished character, so that the first byte that
//! cannot belong to valid UTF-8 is refused when it arrives. Collecting into a `String` spares the
//! second check that turning bytes into text would cost at the end.

use crate::{Message, ProtocolError};

/// What has arrived of a message.
#[derive(Debug)]
pub(crate) enum Body {
    Text { text: String, tail: Tail },
    Binary(Vec<u8>),
}

/// The beginning of a character whose other bytes have not arrived.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    bytes: [u8; 4],
    len: usize,
}

impl Body {
    /// An empty body of a text or a binary message.
    pub(crate) fn of(text: bool) -> Self {
        if text {
            let (text, tail) = (String::new(), Tail::default());
            Body::Text { text, tail }
        } else {
            Body::binary()
        }
    }

    pub(crate) fn binary() -> Self {
        Body::Binary(Vec::new())
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        match self {
            Body::Text { text, tail } => text.len() + tail.len,
            Body::Binary(bytes) => bytes.len(),
        }
    }

    /// Makes room for `arrived` more bytes, knowing that `expected` (`arrived` included) will
    /// follow. Capacity doubles, so that copying stays linear, but never beyond what is expected:
    /// a message that came in one frame ends without slack.
    pub(crate) fn reserve(&mut self, arrived: usize, expected: usize) {
        let (len, capacity) = match self {
            Body::Text { text, .. } => (text.len(), text.capacity()),
            Body::Binary(bytes) => (bytes.len(), bytes.capacity()),
        };
        if capacity - len >= arrived {
            return;
        }
        let grow = len.min(expected).max(arrived);
        match self {
            Body::Text { text, .. } => text.reserve_exact(grow),
            Body::Binary(bytes) => bytes.reserve_exact(grow),
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        match self {
            Body::Text { text, tail } => push_text(text, tail, bytes),
            Body::Binary(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// The message, complete; fails if text ends within a character.
    pub(crate) fn finish(self) -> Result<Message, ProtocolError> {
        match self {
            Body::Text { text, tail } if tail.len == 0 => Ok(Message::Text(text)),
            Body::Text { .. } => Err(ProtocolError::InvalidUtf8),
            Body::Binary(bytes) => Ok(Message::Binary(bytes)),
        }
    }
}

fn push_text(text: &mut String, tail: &mut Tail, mut bytes: &[u8]) -> Result<(), ProtocolError> {
    // Completing the unfinished character byte by byte takes at most three turns.
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

/// Splits into valid text and the beginning of a character (at most three bytes) at its end.
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
        let mut body = Body::of(true);
        bytes
            .iter()
            .position(|byte| body.push(std::slice::from_ref(byte)).is_err())
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
                let mut body = Body::of(true);
                let bytes = text.as_bytes();
                for part in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    assert_eq!(body.push(part), Ok(()));
                }
                assert_eq!(body.len(), text.len());
                assert_eq!(body.finish(), Ok(Message::Text(text.into())));
            }
        }
    }

    #[test]
    fn text_that_ends_within_a_character_is_refused() {
        for end in 1..4 {
            let mut body = Body::of(true);
            assert_eq!(body.push(&"😀".as_bytes()[..end]), Ok(()));
            assert_eq!(body.finish(), Err(ProtocolError::InvalidUtf8));
        }
    }

    #[test]
    fn capacity_follows_what_arrived_and_ends_exact() {
        for mut body in [Body::of(true), Body::binary()] {
            let (total, part) = (100_000, [b'x'; 100]);
            for missing in (1..=total / part.len()).rev().map(|n| n * part.len()) {
                body.reserve(part.len(), missing);
                assert_eq!(body.push(&part), Ok(()));
                let capacity = match &body {
                    Body::Text { text, .. } => text.capacity(),
                    Body::Binary(bytes) => bytes.capacity(),
                };
                assert!(capacity <= total.min(2 * body.len()));
            }
            assert_eq!(body.len(), total);
        }
    }
}
