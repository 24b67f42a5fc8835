//! A checked upgrade request (RFC 6455, section 4.2.1) and its response.
//!
//! Knows no policies of a server.

use std::collections::HashSet;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};

use super::error::HandshakeError;
use super::extensions::{self, DeflateOffer};
use super::tokens::{is_token, list, lists};

/// The suffix of the key before it is hashed (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Ignores the four unused bits of the last character: some clients send 22 random characters, and
/// the RFC restricts only the decoded value.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// A checked upgrade request. Owned, so that it may outlive the HTTP request.
#[derive(Clone, Debug)]
pub struct Request {
    accept: HeaderValue,
    subprotocols: Vec<String>,
    deflate: Option<DeflateOffer>,
}

impl Request {
    /// Checks a request (RFC 6455, section 4.2.1): GET, HTTP/1.1, one `Host`, `Upgrade` and
    /// `Connection` with their tokens in any case, one key of 16 bytes, version 13. Of several
    /// violations, the error names the one that helps an ordinary HTTP client most.
    pub fn parse(
        method: &Method,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<Request, HandshakeError> {
        if method != Method::GET {
            return Err(HandshakeError::Method);
        }
        if version != Version::HTTP_11 {
            return Err(HandshakeError::HttpVersion);
        }
        if !lists(headers, &UPGRADE, "websocket") {
            return Err(HandshakeError::NotAnUpgrade);
        }
        if !lists(headers, &CONNECTION, "upgrade") {
            return Err(HandshakeError::ConnectionNotUpgrade);
        }
        only(headers, &HOST)?;
        check_version(headers)?;
        Ok(Request {
            accept: accept(only(headers, &SEC_WEBSOCKET_KEY)?)?,
            subprotocols: subprotocols(headers)?,
            deflate: extensions::deflate_offer(headers)?,
        })
    }

    /// The subprotocols that the client offers, in its order of preference (RFC 6455, section 4.1).
    /// They are distinct, case-sensitive tokens.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.subprotocols.iter().map(String::as_str)
    }

    /// Whether the client offers permessage-deflate in a form that this crate can accept (RFC
    /// 7692, section 7.1): no unknown, repeated or malformed parameter, and no
    /// `server_max_window_bits` below 15.
    pub fn offers_deflate(&self) -> bool {
        self.deflate.is_some()
    }

    /// The response that upgrades the connection: 101 (RFC 6455, section 4.2.2).
    ///
    /// Includes `subprotocol` only if the client offered it: a client fails the connection for any
    /// other (section 4.1). Accepts permessage-deflate only if both `deflate` and
    /// [`offers_deflate`](Request::offers_deflate) are true; pass the same conjunction to
    /// [`Protocol::new`](crate::Protocol::new).
    pub fn respond(&self, subprotocol: Option<&str>, deflate: bool) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        let chosen = subprotocol.filter(|chosen| self.subprotocols().any(|it| it == *chosen));
        if let Some(Ok(value)) = chosen.map(HeaderValue::from_str) {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
        }
        if let Some(offer) = self.deflate.filter(|_| deflate) {
            let value = HeaderValue::from_static(offer.accepted());
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, value);
        }
        response
    }
}

/// The value of a header that must appear exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a HeaderValue, HandshakeError> {
    let mut values = headers.get_all(name).iter();
    let value = values
        .next()
        .ok_or_else(|| HandshakeError::Missing(name.clone()))?;
    if values.next().is_some() {
        return Err(HandshakeError::Repeated(name.clone()));
    }
    Ok(value)
}

fn check_version(headers: &HeaderMap) -> Result<(), HandshakeError> {
    match only(headers, &SEC_WEBSOCKET_VERSION) {
        Ok(version) if version.as_bytes().trim_ascii() == b"13" => Ok(()),
        // The response to a missing version names the supported one, too.
        Ok(_) | Err(HandshakeError::Missing(_)) => Err(HandshakeError::VersionNotSupported),
        Err(error) => Err(error),
    }
}

/// The value of `Sec-WebSocket-Accept` (RFC 6455, section 4.2.2, step 5.4).
fn accept(key: &HeaderValue) -> Result<HeaderValue, HandshakeError> {
    let key = key.as_bytes().trim_ascii();
    let mut decoded = [0; 18];
    let length = KEY_BASE64
        .decode_slice(key, &mut decoded)
        .map_err(|_| HandshakeError::InvalidKey)?;
    if length != 16 {
        return Err(HandshakeError::InvalidKey);
    }
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key);
    hash.update(GUID);
    let accept = STANDARD.encode(hash.digest().bytes());
    HeaderValue::try_from(accept).map_err(|_| HandshakeError::InvalidKey)
}

fn subprotocols(headers: &HeaderMap) -> Result<Vec<String>, HandshakeError> {
    // The set keeps a header full of subprotocols from costing quadratic time.
    let mut seen = HashSet::new();
    list(headers, &SEC_WEBSOCKET_PROTOCOL)
        .map(|offered| match offered {
            Some(token) if is_token(token) && seen.insert(token) => Ok(token.to_owned()),
            _ => Err(HandshakeError::InvalidSubprotocols),
        })
        .collect()
}
