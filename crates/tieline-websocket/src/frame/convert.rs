//! What a frame is made from: text, bytes, a message.
//!
//! Knows neither encoding nor compression. Invariant: a text frame is valid UTF-8, and no buffer that the
//! caller gives up is copied.

use std::str::Utf8Error;

use bytes::Bytes;

use super::{AnyFrame, Frame, FrameKind};
use crate::message::Message;

impl Frame {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        let bytes = text.into().into_bytes();
        Frame(AnyFrame::new(FrameKind::Text, bytes.len(), bytes))
    }

    /// A text message from text that is part of the program, without a copy.
    ///
    /// ```
    /// use tieline_websocket::Frame;
    ///
    /// let welcome = Frame::from_static("welcome");
    /// assert_eq!(welcome, Frame::text("welcome"));
    /// ```
    pub fn from_static(text: &'static str) -> Self {
        let bytes = Bytes::from_static(text.as_bytes());
        Frame(AnyFrame::new(FrameKind::Text, bytes.len(), bytes))
    }

    /// A text message from shared bytes, such as the body of a request, without a copy. The frame keeps
    /// the whole buffer that they are part of.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use tieline_websocket::Frame;
    ///
    /// let body = Bytes::from("hello");
    /// assert_eq!(Frame::try_text(body), Ok(Frame::text("hello")));
    /// assert!(Frame::try_text(Bytes::from_static(b"\xff")).is_err());
    /// ```
    ///
    /// # Errors
    /// If they are not valid UTF-8, which RFC 6455, section 5.6, requires of text.
    pub fn try_text(bytes: Bytes) -> Result<Self, Utf8Error> {
        str::from_utf8(&bytes)?;
        Ok(Frame(AnyFrame::new(FrameKind::Text, bytes.len(), bytes)))
    }

    /// A binary message. [`Bytes`] convert into one by [`From`], without a copy.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Frame(AnyFrame::new(FrameKind::Binary, bytes.len(), bytes))
    }
}

impl From<Message> for Frame {
    #[inline]
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Frame::text(text),
            Message::Binary(bytes) => Frame::binary(bytes),
        }
    }
}

impl From<String> for Frame {
    fn from(text: String) -> Self {
        Frame::text(text)
    }
}

impl From<&String> for Frame {
    fn from(text: &String) -> Self {
        Frame::text(text)
    }
}

impl From<&str> for Frame {
    fn from(text: &str) -> Self {
        Frame::text(text)
    }
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Frame::binary(bytes)
    }
}

impl From<&[u8]> for Frame {
    fn from(bytes: &[u8]) -> Self {
        Frame::binary(bytes)
    }
}

impl<const N: usize> From<&[u8; N]> for Frame {
    fn from(bytes: &[u8; N]) -> Self {
        Frame::binary(bytes)
    }
}

/// Without a copy. The frame keeps the whole buffer that the bytes are part of.
impl From<Bytes> for Frame {
    fn from(bytes: Bytes) -> Self {
        Frame(AnyFrame::new(FrameKind::Binary, bytes.len(), bytes))
    }
}
