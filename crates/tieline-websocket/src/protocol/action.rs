//! What the decoder tells its driver. Only data.

use crate::{CloseFrame, Frame, Message, ProtocolError};

/// How far the close handshake has come (RFC 6455, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Messages may be sent and are received.
    Open,
    /// Our close frame is out, the peer's has not come. No message may be sent any more.
    Closing,
    /// Both close frames are through, or the connection failed: nothing is sent but the reply that
    /// came with the action, nothing is received.
    Closed,
}

/// What one call of [`Protocol::receive`](crate::Protocol::receive) took out of its input.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// How many bytes of the input are done with. All of it when `action` is `None` and no pong is due.
    pub consumed: usize,
    /// What the driver has to do, if anything.
    pub action: Option<Action>,
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// A message is complete.
    Message(Message),
    /// The peer began the close handshake: send `reply`, then end the TCP connection. The phase is
    /// [`Phase::Closed`].
    Close {
        /// What the peer said; `None` if its close frame was empty (code 1005 for reports).
        received: Option<CloseFrame>,
        /// The answer, with the peer's code.
        reply: Frame,
    },
    /// The peer answered our close: end the TCP connection. The phase is [`Phase::Closed`].
    Closed {
        /// What the peer said; `None` if its close frame was empty (code 1005 for reports).
        received: Option<CloseFrame>,
    },
    /// The peer broke the protocol or a limit (RFC 6455, section 7.1.7): send `reply`, then end the
    /// TCP connection. The phase is [`Phase::Closed`].
    Fail {
        /// What it did.
        error: ProtocolError,
        /// The close frame to send; `None` if one was sent already.
        reply: Option<Frame>,
    },
}
