//! Fragments: the frames of a message that is sent in pieces (RFC 6455, section 5.4).
//!
//! Must not know in which order they are sent. Invariant: a fragment is never compressed: RSV1 of the first one would
//! say so of the whole message (RFC 7692, section 6.1).

use std::sync::{Arc, OnceLock, atomic::AtomicU64};

use bytes::Bytes;

use super::{AnyFrame, FrameKind, Header, Inner};

impl AnyFrame {
    /// A fragment of a message, which is text or binary; of a text message, it may end within a character. The first
    /// fragment of a message says so, and only the last one. Between them a connection may send control frames, and
    /// no other message.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use tieline_websocket::{AnyFrame, FrameKind};
    ///
    /// let fragment = |text, is_first, is_last| {
    ///     AnyFrame::fragment(FrameKind::Text, is_first, is_last, Bytes::from_static(text))
    /// };
    /// assert_eq!(fragment(b"Hel", true, false).encoded(None).header, b"\x01\x03");
    /// assert_eq!(fragment(b"lo", false, true).encoded(None).header, b"\x80\x02");
    /// ```
    ///
    /// # Panics
    /// If the kind is neither text nor binary.
    pub fn fragment(kind: FrameKind, is_first: bool, is_last: bool, payload: Bytes) -> Self {
        assert!(kind.is_data(), "only messages have fragments");
        let mut header = Header::new(kind, false, payload.len());
        let opcode = if is_first {
            kind.opcode()
        } else {
            CONTINUATION
        };
        header.bytes[0] = opcode | if is_last { FIN } else { 0 };
        AnyFrame(Arc::new(Inner {
            kind: FrameKind::Fragment,
            plain_len: header.plain_len(payload.len()),
            header,
            holders: AtomicU64::new(0),
            payload: payload.into(),
            deflated: OnceLock::new(),
        }))
    }

    /// Whether a message begins with the frame: a whole message, or the first fragment of one.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use tieline_websocket::{AnyFrame, Frame, FrameKind};
    ///
    /// assert!(AnyFrame::from(Frame::text("Hello")).begins_message());
    /// let fragment = |is_first| AnyFrame::fragment(FrameKind::Text, is_first, false, Bytes::new());
    /// assert!(fragment(true).begins_message() && !fragment(false).begins_message());
    /// assert!(!AnyFrame::ping(b"").begins_message());
    /// ```
    pub fn begins_message(&self) -> bool {
        let is_first = || self.0.header.bytes[0] & !FIN != CONTINUATION;
        self.0.kind.is_data() || self.0.kind == FrameKind::Fragment && is_first()
    }
}

const CONTINUATION: u8 = 0x0;
const FIN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::Deflate;

    #[test]
    fn a_fragment_is_not_compressed() {
        let settings = Deflate::default();
        let payload = Bytes::from(vec![b'x'; 70_000]);
        let first = AnyFrame::fragment(FrameKind::Binary, true, false, payload.clone());
        let encoded = first.encoded(Some(&settings));
        assert_eq!(encoded.header[..2], [0x02, 127]);
        assert_eq!(encoded.payload, payload);
        assert_eq!(first.kind(), FrameKind::Fragment);
        let whole = AnyFrame::fragment(FrameKind::Text, true, true, Bytes::new());
        assert_eq!(whole.encoded(None).header, b"\x81\x00");
    }
}
