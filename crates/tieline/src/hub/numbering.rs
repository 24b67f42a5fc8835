//! Numbers for each receiver, in messages that all receivers share.
//!
//! Owns the form of a number: the first member of a JSON object. Must not know who counts. Invariant: what
//! stands before the shared rest fits the prefix of a frame.

use bytes::Bytes;
use tieline_websocket::{AnyFrame, Frame, FrameKind};

/// Digits of the highest number.
const DIGITS: usize = 20;

/// Longest name of a member: with quotes, brace, colon, number and comma it fits the prefix of a frame.
const MAX_MEMBER: usize = AnyFrame::MAX_PREFIX - DIGITS - 5;

/// Whether a [`Dialect`](crate::Dialect) numbers what it gives to each of its clients.
///
/// ```
/// use tieline::{Dialect, Frame, Note, Numbering};
///
/// struct Reliable;
///
/// impl Dialect for Reliable {
///     fn render(&self, note: &Note) -> Option<Frame> {
///         let length = note.as_text()?.len();
///         Some(Frame::text(format!(r#"{{"length":{length}}}"#)))
///     }
///
///     // The first client gets {"sequenceId":1,"length":5}, then {"sequenceId":2,…}.
///     fn numbering(&self) -> Numbering {
///         Numbering::Member("sequenceId")
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Numbering {
    /// It does not.
    #[default]
    None,
    /// A member of this name, with the number, becomes the first one of each JSON object that the dialect
    /// renders. Other frames get no number.
    Member(&'static str),
}

/// What stands before the number: `{"name":`.
#[derive(Debug, Clone)]
pub(super) struct Opening(Box<[u8]>);

/// An opening with its number, and a comma unless the object was empty.
pub(super) struct Prefix {
    bytes: [u8; AnyFrame::MAX_PREFIX],
    len: usize,
}

impl Opening {
    /// # Panics
    /// If the name is empty or longer than [`MAX_MEMBER`], or if JSON would escape some of it.
    pub(super) fn of(numbering: Numbering) -> Option<Self> {
        let Numbering::Member(name) = numbering else {
            return None;
        };
        let is_plain =
            |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && !b"\"\\".contains(&byte);
        assert!(
            (1..=MAX_MEMBER).contains(&name.len()) && name.bytes().all(is_plain),
            "the member for a number needs a name of 1 to {MAX_MEMBER} ASCII characters"
        );
        Some(Self(format!("{{\"{name}\":").into_bytes().into()))
    }

    /// What stands before the rest of an object.
    pub(super) fn prefix(&self, number: u64, rest: &Frame) -> Prefix {
        let mut prefix = Prefix {
            bytes: [0; AnyFrame::MAX_PREFIX],
            len: 0,
        };
        prefix.push(&self.0);
        let (mut digits, mut first, mut left) = ([0; DIGITS], DIGITS, number);
        loop {
            first -= 1;
            digits[first] = b'0' + u8::try_from(left % 10).unwrap_or_default();
            left /= 10;
            if left == 0 {
                break;
            }
        }
        prefix.push(&digits[first..]);
        if rest.payload().first() != Some(&b'}') {
            prefix.push(b",");
        }
        prefix
    }
}

impl Prefix {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }
}

/// What follows a number: an object without its brace; `None` if the frame is no object.
pub(super) fn rest_of(frame: &Frame) -> Option<Frame> {
    let payload = frame.payload().strip_prefix(b"{")?;
    let rest = payload.trim_ascii_start();
    if frame.kind() != FrameKind::Text || rest.is_empty() {
        return None;
    }
    Frame::try_text(Bytes::copy_from_slice(rest)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(object: &str, number: u64) -> String {
        let opening = Opening::of(Numbering::Member("n")).unwrap();
        let rest = rest_of(&Frame::text(object)).unwrap();
        let prefix = opening.prefix(number, &rest);
        let frame = AnyFrame::prefixed(prefix.bytes(), &rest, None);
        String::from_utf8(frame.payload().to_vec()).unwrap()
    }

    #[test]
    fn the_number_becomes_the_first_member() {
        assert_eq!(numbered(r#"{"a":1}"#, 1), r#"{"n":1,"a":1}"#);
        assert_eq!(numbered("{ \n\"a\":1}", 907), r#"{"n":907,"a":1}"#);
        assert_eq!(numbered("{}", 10), r#"{"n":10}"#);
        assert_eq!(numbered("{ }", 0), r#"{"n":0}"#);
    }

    #[test]
    fn the_longest_prefix_fits() {
        let name: &'static str = "a".repeat(MAX_MEMBER).leak();
        let opening = Opening::of(Numbering::Member(name)).unwrap();
        let prefix = opening.prefix(u64::MAX, &Frame::text("\"a\":1}"));
        assert_eq!(prefix.bytes().len(), AnyFrame::MAX_PREFIX);
        assert!(prefix.bytes().ends_with(b"18446744073709551615,"));
    }

    #[test]
    fn only_objects_are_numbered() {
        for frame in [
            Frame::text("[1]"),
            Frame::text(""),
            Frame::text("{"),
            Frame::binary(*b"{}"),
        ] {
            assert!(rest_of(&frame).is_none(), "{frame:?}");
        }
    }

    #[test]
    #[should_panic(expected = "needs a name")]
    fn a_name_that_json_would_escape_is_refused() {
        Opening::of(Numbering::Member("a\"b"));
    }
}
