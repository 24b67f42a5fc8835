//! Why a connection ended.
//!
//! Owns [`CloseReason`], what `on_disconnect` is told, and its translation into a close frame. It
//! knows nothing of sockets: a reason without a close frame is one where no frame can help.

use std::fmt;

use tieline_websocket::{CloseCode, CloseFrame, ProtocolError};

/// Why a connection ended; the first cause wins.
///
/// A normal close is not an error: [`CloseReason::Client`] with code 1000 is how most connections
/// should end.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed; `None` where its close frame carried no code (RFC 6455, 7.1.5: 1005).
    Client(Option<CloseFrame>),
    /// The application closed, by [`Connection::close`](crate::Connection::close) or
    /// [`Hub::close`](crate::Hub::close).
    Application(CloseFrame),
    /// A newer connection took the id ([`Duplicate::Replace`](crate::Duplicate)): code 4409.
    Replaced,
    /// The node drains: code 1012, so that clients come back elsewhere.
    Drain,
    /// The outbox was full ([`SlowConsumer::Disconnect`](crate::SlowConsumer)): code 1013.
    SlowConsumer,
    /// Nothing was heard from the client, not even a pong: code 1011.
    Silent,
    /// A message was begun and not finished in time: code 1008.
    Unfinished,
    /// The client broke the protocol or a limit; the error names the code.
    Protocol(ProtocolError),
    /// The handler panicked: code 1011.
    Panic,
    /// The TCP connection ended without a close handshake (RFC 6455, 7.1.5: 1006).
    Lost(std::io::ErrorKind),
}

impl CloseReason {
    /// Code 4409, sent to a connection whose id a newer one took.
    pub const REPLACED: u16 = 4409;

    /// The close frame that the client is sent, if one can help.
    pub fn frame(&self) -> Option<CloseFrame> {
        let (code, text) = match self {
            Self::Client(frame) => return frame.clone(),
            Self::Application(frame) => return Some(frame.clone()),
            Self::Protocol(error) => (error.close_code(), error.to_string()),
            Self::Replaced => (replaced(), "replaced by a newer connection".into()),
            Self::Drain => (CloseCode::SERVICE_RESTART, "the node is restarting".into()),
            Self::SlowConsumer => (CloseCode::TRY_AGAIN_LATER, "reading too slowly".into()),
            Self::Silent => (CloseCode::INTERNAL_ERROR, "no answer to a ping".into()),
            Self::Unfinished => (
                CloseCode::POLICY_VIOLATION,
                "message not finished in time".into(),
            ),
            Self::Panic => (CloseCode::INTERNAL_ERROR, "internal error".into()),
            Self::Lost(_) => return None,
        };
        Some(CloseFrame::new(code, text))
    }

    /// The code by which the field knows this end: the close frame's, else 1005 or 1006.
    pub fn code(&self) -> u16 {
        match (self, self.frame()) {
            (_, Some(frame)) => frame.code.as_u16(),
            (Self::Client(None), None) => 1005,
            (_, None) => 1006,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(_) => write!(f, "closed by the client ({})", self.code()),
            Self::Application(_) => write!(f, "closed by the application ({})", self.code()),
            Self::Replaced => f.write_str("replaced by a newer connection (4409)"),
            Self::Drain => f.write_str("the node drains (1012)"),
            Self::SlowConsumer => f.write_str("slow consumer (1013)"),
            Self::Silent => f.write_str("no answer to a ping (1011)"),
            Self::Unfinished => f.write_str("message not finished in time (1008)"),
            Self::Protocol(error) => write!(f, "{error} ({})", self.code()),
            Self::Panic => f.write_str("the handler panicked (1011)"),
            Self::Lost(kind) => write!(f, "connection lost: {kind} (1006)"),
        }
    }
}

fn replaced() -> CloseCode {
    CloseCode::new(CloseReason::REPLACED).expect("4409 is in the private range of RFC 6455, 7.4.2")
}
