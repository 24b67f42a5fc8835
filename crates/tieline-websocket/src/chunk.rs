//! A piece of a message, for connections whose messages are not collected.
//!
//! Owns the piece and its place in the message; knows neither frames nor limits. Invariants: a piece of a
//! text is valid UTF-8; only the last piece of a message may be empty.

use crate::message::Message;

/// A piece of a message: what has arrived of it since the piece before.
///
/// The pieces of a message come in order and one message after the other; together they are the message.
/// Where they are cut says nothing: neither the client's writes nor its fragments are preserved. A piece of a
/// text never ends within a character. The last piece is empty if the message ended later than its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    data: Message,
    offset: u64,
    last: bool,
}

impl Chunk {
    pub(crate) fn new(data: Message, offset: u64, last: bool) -> Self {
        Chunk { data, offset, last }
    }

    /// How many bytes of the message came before this piece.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the message begins with this piece.
    #[inline]
    pub fn is_first(&self) -> bool {
        self.offset == 0
    }

    /// Whether the message ends with this piece.
    #[inline]
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Whether the message is text.
    #[inline]
    pub fn is_text(&self) -> bool {
        matches!(self.data, Message::Text(_))
    }

    /// The length of this piece in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether this piece has no bytes: a message that is empty, or that ends after its bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The bytes of this piece, for both kinds.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.data.as_bytes()
    }

    /// The text of this piece, or `None` if the message is binary.
    #[inline]
    pub fn as_text(&self) -> Option<&str> {
        self.data.as_text()
    }

    /// The bytes of this piece, for both kinds, without a copy.
    #[inline]
    pub fn into_bytes(self) -> Vec<u8> {
        self.data.into_bytes()
    }

    /// This piece as a message of its own, text or binary as the whole is, without a copy.
    #[inline]
    pub fn into_message(self) -> Message {
        self.data
    }
}
