//! The last words to a client.
//!
//! Owns [`Farewell`]. Must not know whom it is for, nor how it is sent.

use tieline_websocket::{CloseFrame, Frame};

/// The close frame that a client gets, and a message before it: the words of a wire whose clients expect codes, or
/// messages, of their own.
///
/// A client that is refused gets one by [`Refusal::after_upgrade`](crate::Refusal::after_upgrade) or
/// [`Accept::if_refused`](crate::Accept::if_refused).
///
/// ```
/// use tieline::{CloseCode, CloseFrame, Farewell};
///
/// let close = CloseFrame::new(CloseCode::TRY_AGAIN_LATER, "the server is full");
/// let farewell = Farewell::new(close).message(r#"{"error":"full"}"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    pub(crate) message: Option<Frame>,
    pub(crate) close: CloseFrame,
}

impl Farewell {
    /// A close frame, and no message.
    pub fn new(close: CloseFrame) -> Self {
        Self {
            message: None,
            close,
        }
    }

    /// Sends this message before the close frame.
    pub fn message(mut self, frame: impl Into<Frame>) -> Self {
        self.message = Some(frame.into());
        self
    }
}
