//! Close codes (RFC 6455, section 7.4).
//!
//! Knows no frames. Invariant: a [`CloseCode`] is valid in a close frame.

use std::fmt;

/// Why a connection ends, as a number (RFC 6455, section 7.4).
///
/// Only codes that are valid in a close frame exist as values: 1004 is undefined, 1005, 1006 and
/// 1015 are reserved for local reports, and the others below 3000 are unassigned.
///
/// ```
/// use tieline_websocket::CloseCode;
///
/// assert_eq!(CloseCode::new(1001), Some(CloseCode::GOING_AWAY));
/// assert_eq!(CloseCode::new(4001).map(CloseCode::as_u16), Some(4001));
/// assert_eq!(CloseCode::new(1006), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the connection has fulfilled its purpose.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// 1001: the endpoint goes away, because the user leaves the page or the server shuts down.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// 1003: the endpoint cannot accept this kind of data.
    pub const UNSUPPORTED_DATA: CloseCode = CloseCode(1003);
    /// 1007: the payload does not match its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: CloseCode = CloseCode(1007);
    /// 1008: a message violates the endpoint's policy.
    pub const POLICY_VIOLATION: CloseCode = CloseCode(1008);
    /// 1009: a message is too big to process.
    pub const MESSAGE_TOO_BIG: CloseCode = CloseCode(1009);
    /// 1010: the server did not negotiate an extension that the client requires.
    pub const MANDATORY_EXTENSION: CloseCode = CloseCode(1010);
    /// 1011: the server met an unexpected condition.
    pub const INTERNAL_ERROR: CloseCode = CloseCode(1011);
    /// 1012: the server restarts; reconnect after a random delay (IANA registry).
    pub const SERVICE_RESTART: CloseCode = CloseCode(1012);
    /// 1013: the server is overloaded; try another one, or try later (IANA registry).
    pub const TRY_AGAIN_LATER: CloseCode = CloseCode(1013);
    /// 1014: a gateway got an invalid response from the upstream server (IANA registry).
    pub const BAD_GATEWAY: CloseCode = CloseCode(1014);

    /// The code with this number, if it is valid in a close frame: 1000 to 1003, 1007 to 1014, 3000
    /// to 4999 (registered and private use).
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_codes_of_section_7_4_are_valid() {
        for code in 0..=u16::MAX {
            let allowed = (1000..5000).contains(&code)
                && !(1015..3000).contains(&code)
                && ![1004, 1005, 1006].contains(&code);
            assert_eq!(CloseCode::new(code).is_some(), allowed, "code {code}");
            assert!(CloseCode::new(code).is_none_or(|it| it.as_u16() == code));
        }
        assert_eq!(CloseCode::TRY_AGAIN_LATER.to_string(), "1013");
    }
}
