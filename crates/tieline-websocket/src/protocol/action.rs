//! The results of the decoder. Only data.

use crate::{
    chunk::Chunk, close_frame::CloseFrame, error::ProtocolError, frame::AnyFrame, message::Message,
};

/// The state of the close handshake (RFC 6455, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolState {
    /// Both sides may send messages.
    Open,
    /// The server has sent its close frame and waits for the client's. Send no more messages.
    Closing,
    /// Both close frames have passed, or the connection failed. Send only the reply that came with
    /// the action; further input is discarded.
    Closed,
}

/// The result of one call of [`Protocol::receive`](crate::Protocol::receive).
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// How many bytes of the input were processed: all of them if `action` is `None` and no pong is
    /// due, and if the state is now [`ProtocolState::Closed`].
    pub consumed: usize,
    /// What the caller must do, if anything.
    pub action: Option<Action>,
}

/// What the caller must do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// A message is complete.
    Message(Message),
    /// A piece of a message has arrived, with [`Protocol::streaming`](crate::Protocol::streaming); never without.
    /// Boxed, so that it does not change how complete messages are moved.
    Chunk(Box<Chunk>),
    /// The client began the close handshake: send `reply`, then close the TCP connection. The state
    /// is now [`ProtocolState::Closed`].
    Close {
        /// The client's close frame; `None` if it was empty, which is reported as code 1005.
        received: Option<CloseFrame>,
        /// The answer, with the client's code.
        reply: AnyFrame,
    },
    /// The client answered the server's close: close the TCP connection. The state is now
    /// [`ProtocolState::Closed`].
    Closed {
        /// The client's close frame; `None` if it was empty, which is reported as code 1005.
        received: Option<CloseFrame>,
    },
    /// The client broke the protocol or a limit (RFC 6455, section 7.1.7): send `reply`, then close
    /// the TCP connection. The state is now [`ProtocolState::Closed`].
    Fail {
        /// The violation.
        error: ProtocolError,
        /// The close frame to send; `None` if the server has sent one already.
        reply: Option<AnyFrame>,
    },
}
