//! Close codes and the payload of close frames (RFC 6455, sections 5.5.1 and 7.4).
//!
//! Invariant: a [`CloseCode`] may stand on the wire, and an encoded [`CloseFrame`] fits a control
//! frame.

use std::fmt;

use crate::ProtocolError;

/// The longest payload of a control frame (RFC 6455, section 5.5), in bytes.
pub(crate) const CONTROL_MAX: usize = 125;

/// The longest reason of a close frame, in bytes: the payload's 125 less the code's two.
const REASON_MAX: usize = CONTROL_MAX - 2;

/// Why a connection ends, as the wire says it (RFC 6455, section 7.4).
///
/// Only codes that may stand in a close frame exist as values: 1004 is undefined, 1005, 1006 and
/// 1015 are reserved for reporting, others up to 2999 are unassigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// 1001: the endpoint goes away: a page is left, a server shuts down.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// 1003: data of a kind that the endpoint cannot accept.
    pub const UNSUPPORTED_DATA: CloseCode = CloseCode(1003);
    /// 1007: a payload that is not what its type says, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: CloseCode = CloseCode(1007);
    /// 1008: a message that violates the endpoint's policy.
    pub const POLICY_VIOLATION: CloseCode = CloseCode(1008);
    /// 1009: a message too big to process.
    pub const MESSAGE_TOO_BIG: CloseCode = CloseCode(1009);
    /// 1010: a client misses an extension that it cannot do without.
    pub const MANDATORY_EXTENSION: CloseCode = CloseCode(1010);
    /// 1011: the server met something unexpected.
    pub const INTERNAL_ERROR: CloseCode = CloseCode(1011);
    /// 1012: the server restarts; clients reconnect after a random delay (IANA registry).
    pub const SERVICE_RESTART: CloseCode = CloseCode(1012);
    /// 1013: the server is overloaded; clients try elsewhere or later (IANA registry).
    pub const TRY_AGAIN_LATER: CloseCode = CloseCode(1013);
    /// 1014: a gateway got an invalid answer from the server behind it (IANA registry).
    pub const BAD_GATEWAY: CloseCode = CloseCode(1014);

    /// The code with this number, if it may stand on the wire: 1000 to 1003, 1007 to 1014, 3000 to
    /// 4999 (registered and private use).
    pub const fn new(code: u16) -> Option<CloseCode> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(CloseCode(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn as_u16(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The code and reason of a close frame (RFC 6455, section 5.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Why the connection ends, for programs.
    pub code: CloseCode,
    /// Why the connection ends, for people. On the wire at most 123 bytes; what is longer is cut
    /// at a character's boundary when it is encoded.
    pub reason: String,
}

impl CloseFrame {
    /// A close frame with this code; the reason is cut to 123 bytes at a character's boundary.
    pub fn new(code: CloseCode, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(REASON_MAX));
        CloseFrame { code, reason }
    }

    /// The payload on the wire. The reason is cut again because the field is public.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let reason = &self.reason[..self.reason.floor_char_boundary(REASON_MAX)];
        let mut payload = Vec::with_capacity(2 + reason.len());
        payload.extend_from_slice(&self.code.0.to_be_bytes());
        payload.extend_from_slice(reason.as_bytes());
        payload
    }

    /// Checks the payload of a received close frame; an empty one has no code.
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
    fn exactly_the_codes_of_section_7_4_may_stand_on_the_wire() {
        for code in 0..=u16::MAX {
            let allowed = (1000..5000).contains(&code)
                && !(1015..3000).contains(&code)
                && ![1004, 1005, 1006].contains(&code);
            assert_eq!(CloseCode::new(code).is_some(), allowed, "code {code}");
            assert!(CloseCode::new(code).is_none_or(|it| it.as_u16() == code));
        }
        assert_eq!(CloseCode::TRY_AGAIN_LATER.to_string(), "1013");
    }

    #[test]
    fn reason_is_cut_to_123_bytes_between_characters() {
        let reason = |text: &str| CloseFrame::new(CloseCode::NORMAL, text).reason;
        assert_eq!(reason(&"a".repeat(123)).len(), 123);
        assert_eq!(reason(&"a".repeat(124)).len(), 123);
        assert_eq!(reason(&"ü".repeat(62)), "ü".repeat(61));
        assert_eq!(reason(&"😀".repeat(31)), "😀".repeat(30));
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let frame = CloseFrame::new(CloseCode::POLICY_VIOLATION, "no");
        assert_eq!(frame.encode(), b"\x03\xf0no");
        assert_eq!(CloseFrame::decode(b"\x03\xf0no"), Ok(Some(frame)));
        assert_eq!(CloseFrame::decode(b""), Ok(None));
    }
}
