//! How a client can break the protocol, and the close code for each way.
//!
//! Only data; the decoder finds the errors.

use crate::close_code::CloseCode;

/// A violation of RFC 6455 or RFC 7692, or of the [`Limits`](crate::Limits), by the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A client must mask every frame (section 5.1).
    #[error("frame is not masked")]
    Unmasked,
    /// A reserved bit is set whose meaning was not negotiated (section 5.2); with
    /// permessage-deflate, RSV1 anywhere but on the first frame of a message (RFC 7692, 6.1).
    #[error("reserved bit is set")]
    ReservedBits,
    /// The opcode is one of those reserved for further use (section 5.2).
    #[error("opcode {0:#x} is reserved")]
    ReservedOpcode(u8),
    /// The length is not encoded in the fewest bytes possible (section 5.2).
    #[error("payload length is not encoded minimally")]
    NonMinimalLength,
    /// The most significant bit of a 64-bit length is set (section 5.2).
    #[error("payload length has its top bit set")]
    LengthOverflow,
    /// A control frame without FIN (section 5.5).
    #[error("control frame is fragmented")]
    FragmentedControl,
    /// A control frame with more than 125 bytes of payload (section 5.5).
    #[error("control frame is longer than 125 bytes")]
    ControlTooLong,
    /// A continuation frame outside a fragmented message (section 5.4).
    #[error("continuation frame without a message to continue")]
    UnexpectedContinuation,
    /// A new data frame inside an unfinished fragmented message (section 5.4).
    #[error("new message inside an unfinished one")]
    UnfinishedMessage,
    /// A text message or a close reason is not UTF-8 (section 8.1).
    #[error("text is not valid UTF-8")]
    InvalidUtf8,
    /// A close code that is not valid in a close frame (section 7.4).
    #[error("close code {0} is not allowed")]
    InvalidCloseCode(u16),
    /// A close frame with a payload of one byte (section 5.5.1).
    #[error("close frame has a payload of one byte")]
    InvalidClosePayload,
    /// The message, as declared or when inflated, is larger than allowed.
    #[error("message is larger than {limit} bytes")]
    MessageTooBig {
        /// The bound in bytes, [`Limits::message`](crate::Limits::message).
        limit: usize,
    },
    /// The message has more fragments than allowed.
    #[error("message has more than {limit} fragments")]
    TooManyFragments {
        /// The bound, [`Limits::fragments`](crate::Limits::fragments).
        limit: u32,
    },
    /// The payload of a compressed message is not DEFLATE data (RFC 7692, 7.2.2).
    #[error("compressed message cannot be inflated")]
    Inflate,
}

impl ProtocolError {
    /// The close code for this error (RFC 6455, section 7.4.1): 1007 if the payload does not match
    /// its type, 1009 if a limit is exceeded, else 1002.
    ///
    /// ```
    /// use tieline_websocket::{CloseCode, ProtocolError};
    ///
    /// assert_eq!(ProtocolError::InvalidUtf8.close_code(), CloseCode::INVALID_PAYLOAD);
    /// assert_eq!(ProtocolError::Unmasked.close_code(), CloseCode::PROTOCOL_ERROR);
    /// ```
    pub fn close_code(&self) -> CloseCode {
        match self {
            ProtocolError::InvalidUtf8 | ProtocolError::Inflate => CloseCode::INVALID_PAYLOAD,
            ProtocolError::MessageTooBig { .. } | ProtocolError::TooManyFragments { .. } => {
                CloseCode::MESSAGE_TOO_BIG
            }
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}
