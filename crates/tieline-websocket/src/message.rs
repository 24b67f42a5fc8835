//! A complete message.
//!
//! Owns the payload; knows neither frames nor compression. Invariant: a text message is valid UTF-8,
//! by its type.

use crate::error::ProtocolError;

/// A complete message, reassembled, inflated and checked (RFC 6455, section 5.6).
///
/// ```
/// use tieline_websocket::Message;
///
/// let message = Message::Text("naïve".into());
/// assert_eq!(message.as_text(), Some("naïve"));
/// assert_eq!(message.len(), 6);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text, valid UTF-8.
    Text(String),
    /// Arbitrary bytes.
    Binary(Vec<u8>),
}

impl Message {
    /// The message with this payload, unmasked and not compressed. Inlined, so that the decoder does
    /// not move it through memory.
    #[inline]
    pub(crate) fn decode(text: bool, payload: &[u8]) -> Result<Self, ProtocolError> {
        if !text {
            return Ok(Message::Binary(payload.to_vec()));
        }
        let text = simdutf8::basic::from_utf8(payload).map_err(|_| ProtocolError::InvalidUtf8)?;
        Ok(Message::Text(text.to_owned()))
    }

    /// The payload's length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty, which RFC 6455 allows.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload, for both kinds.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// The text, or `None` if the message is binary.
    #[inline]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// The payload, for both kinds, without a copy.
    #[inline]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Message::Text(text) => text.into_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }
}
