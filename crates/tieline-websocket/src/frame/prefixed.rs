//! Messages that begin with bytes of their own and share the rest with others.
//!
//! Owns the bytes before the shared rest: the header, a stored block where the rest is compressed, and the
//! prefix. Must not know what the prefix means. Invariant: the shared rest is neither copied nor compressed
//! again to be sent.

use std::ops::Deref;
use std::sync::{Arc, OnceLock, atomic::AtomicU64};

use super::payload::Payload;
use super::{AnyFrame, EncodedFrame, Frame, FrameKind, Head, Header, Inner, Prefixed, RARE};
use crate::deflate::Deflate;

/// Length of the header of a stored block (RFC 1951, section 3.2.4): not the last block, no compression, the
/// length twice.
const STORED: usize = 5;

impl AnyFrame {
    /// Longest prefix of [`AnyFrame::prefixed`], in bytes.
    pub const MAX_PREFIX: usize = 48;

    /// A message with a prefix of its own before the payload of `rest`, which it shares. For one receiver:
    /// pass `deflate` if that one negotiated permessage-deflate; [`AnyFrame::encoded`] then ignores its
    /// own. If the rest is compressed, the prefix goes before it in a stored block, so that the rest
    /// is compressed once for all receivers. Of a text message, the prefix must be UTF-8.
    ///
    /// ```
    /// use tieline_websocket::{AnyFrame, Frame};
    ///
    /// let rest = Frame::text(r#""data":"hello"}"#);
    /// let numbered = AnyFrame::prefixed(br#"{"number":1,"#, &rest, None);
    /// assert_eq!(numbered.payload(), br#"{"number":1,"data":"hello"}"#);
    /// ```
    ///
    /// # Panics
    /// If the prefix is longer than [`AnyFrame::MAX_PREFIX`].
    pub fn prefixed(prefix: &[u8], rest: &Frame, deflate: Option<&Deflate>) -> Self {
        let prefixed = Prefixed {
            head: Head::new(prefix, rest, deflate),
            rest: rest.clone(),
            joined: OnceLock::new(),
        };
        AnyFrame(Arc::new(Inner {
            kind: rest.kind(),
            header: Header::NONE,
            plain_len: RARE,
            holders: AtomicU64::new(0),
            payload: Payload::Prefixed(Box::new(prefixed)),
            deflated: OnceLock::new(),
        }))
    }

    /// Appends what [`AnyFrame::prefixed`] would send, without making a frame.
    ///
    /// # Panics
    /// If the prefix is longer than [`AnyFrame::MAX_PREFIX`].
    pub fn append_prefixed(
        prefix: &[u8],
        rest: &Frame,
        deflate: Option<&Deflate>,
        into: &mut Vec<u8>,
    ) {
        assert!(prefix.len() <= Self::MAX_PREFIX, "the prefix is too long");
        let encoded = rest.encoded(deflate);
        let (header, stored) = header(prefix, rest.kind(), encoded);
        let stored: &[u8] = if header.is_compressed() { &stored } else { &[] };
        into.reserve(AnyFrame::MAX_PREFIX + STORED + 10 + encoded.payload.len());
        into.extend_from_slice(header.bytes());
        into.extend_from_slice(stored);
        into.extend_from_slice(prefix);
        into.extend_from_slice(encoded.payload);
    }

    /// The part that the frame shares with others, if it is a prefixed one.
    #[doc(hidden)]
    pub fn rest(&self) -> Option<&Frame> {
        match &self.0.payload {
            Payload::Prefixed(prefixed) => Some(&prefixed.rest),
            Payload::Tagged(tagged) => tagged.frame.rest(),
            _ => None,
        }
    }

    /// Bytes of the payload that are the frame's own.
    #[doc(hidden)]
    pub fn own_len(&self) -> usize {
        match &self.0.payload {
            Payload::Prefixed(prefixed) => prefixed.head.prefix.into(),
            Payload::Tagged(tagged) => tagged.frame.own_len(),
            payload => payload.len(),
        }
    }
}

impl Prefixed {
    /// The bytes to send.
    pub(super) fn encoded(&self) -> EncodedFrame<'_> {
        let header = self.head.bytes();
        // As it was for the header: what is compressed stays so.
        let compressed = header[0] & Header::COMPRESSED != 0;
        let shared = self.rest.compressed().filter(|_| compressed);
        EncodedFrame {
            header,
            payload: shared.unwrap_or(self.rest.payload()),
        }
    }
}

/// The payload in one piece.
impl Deref for Prefixed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let join = || [self.head.prefix(), self.rest.payload()].concat();
        self.joined.get_or_init(join)
    }
}

impl Head {
    fn new(prefix: &[u8], rest: &Frame, deflate: Option<&Deflate>) -> Self {
        let (header, stored) = header(prefix, rest.kind(), rest.encoded(deflate));
        let mut head = Self {
            bytes: [0; _],
            len: 0,
            prefix: 0,
        };
        head.push(header.bytes());
        if header.is_compressed() {
            head.push(&stored);
        }
        head.push(prefix);
        head.prefix = u8::try_from(prefix.len()).expect("it is at most 48");
        head
    }

    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.len);
        let end = start + bytes.len();
        self.bytes[start..end].copy_from_slice(bytes);
        self.len = u8::try_from(end).expect("the bytes have 63 places");
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }

    fn prefix(&self) -> &[u8] {
        let bytes = self.bytes();
        &bytes[bytes.len() - usize::from(self.prefix)..]
    }
}

/// The header of a frame with this prefix and rest, and that of the stored block that the prefix is in if the
/// rest is compressed.
#[inline]
fn header(prefix: &[u8], kind: FrameKind, rest: EncodedFrame<'_>) -> (Header, [u8; STORED]) {
    let compressed = rest.header[0] & Header::COMPRESSED != 0;
    let stored = if compressed { STORED } else { 0 };
    let length = stored + prefix.len() + rest.payload.len();
    let [low, high] = u16::try_from(prefix.len())
        .unwrap_or(u16::MAX)
        .to_le_bytes();
    let header = Header::new(kind, compressed, length);
    (header, [0, low, high, !low, !high])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::inflate;

    fn sent(frame: &AnyFrame, deflate: Option<&Deflate>) -> (u8, Vec<u8>) {
        let encoded = frame.encoded(deflate);
        let short = encoded.header.len() - frame.0.header.bytes().len();
        assert!(short > 0);
        let bytes = [encoded.header, encoded.payload].concat();
        let header = match bytes[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        (bytes[0], bytes[header..].to_vec())
    }

    #[test]
    fn the_prefix_goes_before_the_rest() {
        for length in [0, 10, 200, 70_000] {
            let rest = Frame::text("x".repeat(length));
            let frame = AnyFrame::prefixed(b"{1,", &rest, None);
            let expected = format!("{{1,{}", "x".repeat(length)).into_bytes();
            assert_eq!(sent(&frame, None), (0x81, expected.clone()));
            assert_eq!(frame.payload(), expected);
            assert_eq!(
                AnyFrame::from(Frame::text(String::from_utf8(expected).unwrap())),
                frame
            );
            let mut appended = Vec::new();
            AnyFrame::append_prefixed(b"{1,", &rest, None, &mut appended);
            let encoded = frame.encoded(None);
            assert_eq!(appended, [encoded.header, encoded.payload].concat());
            assert_eq!(frame.own_len(), 3);
        }
    }

    #[test]
    fn a_compressed_rest_is_shared_and_inflates_behind_any_prefix() {
        let settings = Deflate::default();
        let text = "all work and no play ".repeat(100);
        let rest = Frame::text(&*text);
        let longest = "9".repeat(AnyFrame::MAX_PREFIX);
        for prefix in ["", "{\"n\":1,", &longest] {
            let frame = AnyFrame::prefixed(prefix.as_bytes(), &rest, Some(&settings));
            let (first, payload) = sent(&frame, Some(&settings));
            assert_eq!(first, 0xc1);
            assert!(payload.len() < 200);
            let inflated = inflate(&payload, 10_000, true).unwrap();
            assert_eq!(inflated.as_text().unwrap(), format!("{prefix}{text}"));
            let shared = rest.encoded(Some(&settings)).payload.as_ptr();
            assert_eq!(frame.encoded(None).payload.as_ptr(), shared);
            assert_eq!(frame.payload(), format!("{prefix}{text}").as_bytes());
        }
    }

    #[test]
    fn a_rest_that_compression_does_not_shorten_is_sent_plain() {
        let settings = Deflate::default();
        let frame = AnyFrame::prefixed(b"{1,", &Frame::text("short}"), Some(&settings));
        assert_eq!(sent(&frame, Some(&settings)).0, 0x81);
    }
}
