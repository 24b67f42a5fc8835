//! Why a connection ended.
//!
//! Owns [`CloseReason`], and its translation into a close frame. Must not know sockets: a reason without a close
//! frame is one where no frame can arrive.

use std::fmt;

use tieline_websocket::{CloseCode, CloseFrame, ProtocolError};

/// Why a connection ended; the first cause wins.
///
/// [`Handler::on_disconnect`](crate::Handler::on_disconnect) receives it. A normal close is not an error:
/// most connections should end with [`CloseReason::Client`] and code 1000.
///
/// ```
/// use tieline::CloseReason;
///
/// assert_eq!(CloseReason::Replaced.code(), 4409);
/// assert_eq!(CloseReason::Drain.to_string(), "the node is draining (1012)");
/// ```
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
    /// The node is draining: code 1012, so that clients reconnect to another one.
    Drain,
    /// The client reads too slowly: its outbox was full ([`SlowConsumer::Disconnect`](crate::SlowConsumer)), or
    /// half full and nothing left for as long as a client may be silent, or most waited for it when the node's
    /// outboxes exceeded [`Config::max_outbox_memory`](crate::Config::max_outbox_memory). Code 1013.
    SlowConsumer,
    /// Nothing came from the client, not even a pong, and its socket took nothing: code 1011.
    Silent,
    /// A message was not complete in time ([`Config::message_timeout`](crate::Config::message_timeout)): code
    /// 1008.
    Unfinished,
    /// The client sent more than [`Config::inbound`](crate::Config::inbound) allows
    /// ([`Excess::Close`](crate::Excess)): code 1008.
    TooFast,
    /// The client violated the protocol or a limit; the code depends on the error.
    Protocol(ProtocolError),
    /// The handler panicked: code 1011.
    Panic,
    /// The TCP connection ended without a close handshake (RFC 6455, 7.1.5: 1006).
    Lost(std::io::ErrorKind),
}

impl CloseReason {
    /// Close code 4409: a newer connection took the client id.
    pub const REPLACED: u16 = 4409;

    /// The close frame that is sent to the client, unless it gets another as its [`Farewell`](crate::Farewell); `None`
    /// if none can arrive.
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
                "message not complete in time".into(),
            ),
            Self::TooFast => (CloseCode::POLICY_VIOLATION, "sending too fast".into()),
            Self::Panic => (CloseCode::INTERNAL_ERROR, "internal error".into()),
            Self::Lost(_) => return None,
        };
        Some(CloseFrame::new(code, text))
    }

    /// The close code: that of this [`frame`](Self::frame), else 1005 or 1006 (RFC 6455, 7.4.1).
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
            Self::Drain => f.write_str("the node is draining (1012)"),
            Self::SlowConsumer => f.write_str("slow consumer (1013)"),
            Self::Silent => f.write_str("no answer to a ping (1011)"),
            Self::Unfinished => f.write_str("message not complete in time (1008)"),
            Self::TooFast => f.write_str("sending too fast (1008)"),
            Self::Protocol(error) => write!(f, "{error} ({})", self.code()),
            Self::Panic => f.write_str("the handler panicked (1011)"),
            Self::Lost(kind) => write!(f, "connection lost: {kind} (1006)"),
        }
    }
}

fn replaced() -> CloseCode {
    CloseCode::new(CloseReason::REPLACED).expect("4409 is in the private range of RFC 6455, 7.4.2")
}
