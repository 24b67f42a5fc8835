//! The last words to a client.
//!
//! Owns [`Farewell`], and what the application knows when it chooses one for a connection. Must not know how it is sent.

use std::any::Any;

use tieline_websocket::{CloseFrame, Frame};

use crate::close::CloseReason;

/// The close frame that a client gets, and a message before it: the words of a wire whose clients expect codes, or
/// messages, of their own.
///
/// A connection gets one by [`Accept::farewell`](crate::Accept::farewell). A client that is refused gets one by [`Refusal::after_upgrade`](crate::Refusal::after_upgrade) or
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

/// A close that the server begins, when the client's [`Farewell`] is chosen.
///
/// ```
/// use tieline::{Accept, CloseReason, Farewell};
///
/// /// The connection keeps the client's name.
/// fn accept(name: &str) -> Accept<()> {
///     Accept::new(()).data(name.to_owned()).farewell(|closing| {
///         // Why, and how the client is told by default.
///         let (reason, close) = (closing.reason(), closing.close_frame().clone());
///         if let CloseReason::Application(_) = reason {
///             return None;
///         }
///         let name = closing.data::<String>()?;
///         Some(Farewell::new(close).message(format!("goodbye, {name}: {reason}")))
///     })
/// }
/// ```
#[derive(Debug)]
pub struct Closing<'a> {
    reason: &'a CloseReason,
    close: CloseFrame,
    data: Option<&'a (dyn Any + Send + Sync)>,
}

/// Chooses the farewell of a connection; `None` for the close frame of the reason, and no message.
pub(crate) type ChooseFarewell = fn(&Closing<'_>) -> Option<Farewell>;

impl<'a> Closing<'a> {
    /// `None` if the client gets no close frame.
    pub(crate) fn new(
        reason: &'a CloseReason,
        data: Option<&'a (dyn Any + Send + Sync)>,
    ) -> Option<Self> {
        Some(Self {
            reason,
            close: reason.frame()?,
            data,
        })
    }

    /// Why it begins. Never [`CloseReason::Client`] or [`CloseReason::Lost`], after which a farewell does not arrive.
    pub fn reason(&self) -> &CloseReason {
        self.reason
    }

    /// The close frame that the client gets without a farewell.
    pub fn close_frame(&self) -> &CloseFrame {
        &self.close
    }

    /// What [`Accept::data`](crate::Accept::data) keeps with the connection, if it is of this type.
    pub fn data<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.data?.downcast_ref()
    }
}
