//! The payload of close frames (RFC 6455, section 5.5.1).
//!
//! Owns its encoding and its checks; knows no connection. Invariant: an encoded [`CloseFrame`] fits
//! into a control frame.

use crate::{close_code::CloseCode, error::ProtocolError};

/// The longest payload of a control frame (RFC 6455, section 5.5), in bytes.
pub(crate) const CONTROL_MAX: usize = 125;

/// The longest reason of a close frame, in bytes: the payload's 125 minus two for the code.
const REASON_MAX: usize = CONTROL_MAX - 2;

/// The code and reason of a close frame (RFC 6455, section 5.5.1).
///
/// ```
/// use tieline_websocket::{AnyFrame, CloseCode, CloseFrame};
///
/// let close = CloseFrame::new(CloseCode::GOING_AWAY, "restarting");
/// let frame = AnyFrame::close(Some(&close));
/// assert_eq!(frame.payload(), b"\x03\xe9restarting");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Why the connection ends, for programs.
    pub code: CloseCode,
    /// Why the connection ends, for people. Encoding cuts it to 123 bytes at a character boundary.
    pub reason: String,
}

impl CloseFrame {
    /// A close frame with this code. Cuts the reason to 123 bytes at a character boundary.
    pub fn new(code: CloseCode, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(REASON_MAX));
        CloseFrame { code, reason }
    }

    /// The encoded payload. Cuts the reason again because the field is public.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let reason = &self.reason[..self.reason.floor_char_boundary(REASON_MAX)];
        let mut payload = Vec::with_capacity(2 + reason.len());
        payload.extend_from_slice(&self.code.as_u16().to_be_bytes());
        payload.extend_from_slice(reason.as_bytes());
        payload
    }

    /// Checks the payload of a received close frame; `None` if it is empty.
    pub(crate) fn decode(payload: &[u8]) -> Result<Option<CloseFrame>, ProtocolError> {
        let (code, reason) = match payload {
            [] => return Ok(None),
            [_] => return Err(ProtocolError::InvalidClosePayload),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        };
        let code = CloseCode::new(code).ok_or(ProtocolError::InvalidCloseCode(code))?;
        let reason = simdutf8::basic::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
        Ok(Some(CloseFrame {
            code,
            reason: reason.to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_cut_to_123_bytes_between_characters() {
        let reason = |text: &str| CloseFrame::new(CloseCode::NORMAL, text).reason;
        assert_eq!(reason(&"a".repeat(123)).len(), 123);
        assert_eq!(reason(&"a".repeat(124)).len(), 123);
        assert_eq!(reason(&"ü".repeat(62)), "ü".repeat(61));
        assert_eq!(reason(&"😀".repeat(31)), "😀".repeat(30));
    }

    #[test]
    fn encoding_and_decoding_are_inverse() {
        let frame = CloseFrame::new(CloseCode::POLICY_VIOLATION, "no");
        assert_eq!(frame.encode(), b"\x03\xf0no");
        assert_eq!(CloseFrame::decode(b"\x03\xf0no"), Ok(Some(frame)));
        assert_eq!(CloseFrame::decode(b""), Ok(None));
    }
}
