//! The offers in `Sec-WebSocket-Extensions` (RFC 6455, section 9.1; RFC 7692, section 7.1).
//!
//! Owns the grammar and the choice among the offers. A header that breaks the grammar is an error; a
//! well-formed offer that is not acceptable is skipped, and the next one is tried.

use http::HeaderMap;
use http::header::SEC_WEBSOCKET_EXTENSIONS;

use super::error::HandshakeError;
use super::tokens::is_token_byte;

/// An offer of permessage-deflate that the server can accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeflateOffer {
    /// The offer has `server_max_window_bits=15`, which the response must repeat (RFC 7692, section
    /// 7.1.2.1).
    server_window: bool,
}

impl DeflateOffer {
    /// The value of the response header: no context takeover in either direction. It leaves out
    /// `client_max_window_bits`, which means the full window.
    pub(super) fn accepted(self) -> &'static str {
        if self.server_window {
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=15"
        } else {
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        }
    }
}

/// The first acceptable offer of permessage-deflate, in the client's order of preference.
pub(super) fn deflate_offer(headers: &HeaderMap) -> Result<Option<DeflateOffer>, HandshakeError> {
    let mut accepted = None;
    for value in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        let mut rest = Scanner(value.as_bytes());
        loop {
            // Empty elements of a list are skipped.
            while rest.take(b',') {}
            if rest.0.is_empty() {
                break;
            }
            let offer = rest.extension().ok_or(HandshakeError::InvalidExtensions)?;
            accepted = accepted.or_else(|| offer.deflate());
        }
    }
    Ok(accepted)
}

/// One element of the list.
struct Extension<'a> {
    name: &'a [u8],
    parameters: Vec<(&'a [u8], Option<Vec<u8>>)>,
}

impl Extension<'_> {
    /// The offer, if this is permessage-deflate with parameters that are known, distinct and
    /// supported (RFC 7692, section 7.1).
    fn deflate(&self) -> Option<DeflateOffer> {
        if self.name != b"permessage-deflate" {
            return None;
        }
        let mut seen: Vec<&[u8]> = Vec::new();
        let mut server_window = false;
        for (name, value) in &self.parameters {
            if seen.contains(name) {
                return None;
            }
            seen.push(name);
            match (*name, value.as_deref()) {
                (
                    b"server_no_context_takeover"
                    | b"client_no_context_takeover"
                    | b"client_max_window_bits",
                    None,
                ) => {}
                (b"client_max_window_bits", Some(bits)) if is_window_bits(bits) => {}
                // A smaller window needs another zlib state, which all connections share.
                (b"server_max_window_bits", Some(b"15")) => server_window = true,
                _ => return None,
            }
        }
        Some(DeflateOffer { server_window })
    }
}

/// 8 to 15, without a leading zero (RFC 7692, section 7.1.2).
fn is_window_bits(value: &[u8]) -> bool {
    matches!(value, [b'8' | b'9'] | [b'1', b'0'..=b'5'])
}

/// Parses the grammar; optional white space is allowed around every token.
struct Scanner<'a>(&'a [u8]);

impl<'a> Scanner<'a> {
    /// `extension *( ";" parameter )` up to a comma or the end.
    fn extension(&mut self) -> Option<Extension<'a>> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        while self.take(b';') {
            let name = self.token()?;
            let value = if self.take(b'=') {
                Some(self.value()?)
            } else {
                None
            };
            parameters.push((name, value));
        }
        let ends = self.0.is_empty() || self.0[0] == b',';
        ends.then_some(Extension { name, parameters })
    }

    /// A token, or a quoted string that contains a token (RFC 6455, section 9.1).
    fn value(&mut self) -> Option<Vec<u8>> {
        if !self.take_raw(b'"') {
            return self.token().map(<[u8]>::to_vec);
        }
        let mut value = Vec::new();
        loop {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let byte = match byte {
                b'"' => break,
                b'\\' => {
                    let (&escaped, rest) = self.0.split_first()?;
                    self.0 = rest;
                    escaped
                }
                byte => byte,
            };
            if !is_token_byte(byte) {
                return None;
            }
            value.push(byte);
        }
        self.skip_space();
        (!value.is_empty()).then_some(value)
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        self.skip_space();
        let end = self.0.iter().position(|byte| !is_token_byte(*byte));
        let (token, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        self.skip_space();
        (!token.is_empty()).then_some(token)
    }

    /// Takes `byte`, with white space around it, if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let taken = self.take_raw(byte);
        self.skip_space();
        taken
    }

    /// Takes `byte`, with white space before it, if it comes next.
    fn take_raw(&mut self, byte: u8) -> bool {
        self.skip_space();
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }
}
