//! Why a request is not upgraded, and the HTTP response for each reason.
//!
//! Knows no policies of a server.

use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

/// Why a request cannot be upgraded to WebSocket (RFC 6455, section 4.2.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The method is not GET.
    #[error("method is not GET")]
    Method,
    /// The HTTP version is not 1.1. HTTP/2 and later have no `Upgrade`; they open WebSockets as RFC
    /// 8441 says.
    #[error("HTTP version is not 1.1")]
    HttpVersion,
    /// There is no `Upgrade: websocket`, as in an ordinary HTTP request.
    #[error("request does not ask for an upgrade to WebSocket")]
    NotAnUpgrade,
    /// `Connection` does not list `upgrade`. Most often a proxy has removed it.
    #[error("Connection header does not list Upgrade")]
    ConnectionNotUpgrade,
    /// `Sec-WebSocket-Version` is missing or not 13.
    #[error("WebSocket version is not 13")]
    VersionNotSupported,
    /// A required header is missing.
    #[error("header {0} is missing")]
    Missing(HeaderName),
    /// A header that must appear once appears several times.
    #[error("header {0} is repeated")]
    Repeated(HeaderName),
    /// `Sec-WebSocket-Key` is not 16 bytes in base64.
    #[error("WebSocket key is not 16 bytes in base64")]
    InvalidKey,
    /// `Sec-WebSocket-Protocol` contains an invalid token or a duplicate.
    #[error("list of subprotocols is malformed")]
    InvalidSubprotocols,
    /// `Sec-WebSocket-Extensions` breaks the grammar of RFC 6455, section 9.1, which then requires
    /// the handshake to fail.
    #[error("list of extensions is malformed")]
    InvalidExtensions,
}

impl HandshakeError {
    /// The status of the response: 405 for the method, 426 for a missing upgrade or another version
    /// (RFC 6455, section 4.4; RFC 9110, section 15.5.22), else 400.
    pub fn status(&self) -> StatusCode {
        match self {
            HandshakeError::Method => StatusCode::METHOD_NOT_ALLOWED,
            HandshakeError::NotAnUpgrade | HandshakeError::VersionNotSupported => {
                StatusCode::UPGRADE_REQUIRED
            }
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The response: the status, its headers (`Allow` with 405; `Upgrade`, `Connection` and
    /// `Sec-WebSocket-Version` with 426) and one line of text with the reason and a remedy.
    pub fn response(&self) -> Response<String> {
        let mut response = Response::new(format!("{self}: {}\n", self.advice()));
        let status = self.status();
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        set(CONTENT_TYPE, "text/plain; charset=utf-8");
        if status == StatusCode::METHOD_NOT_ALLOWED {
            set(ALLOW, "GET");
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            set(UPGRADE, "websocket");
            set(CONNECTION, "Upgrade");
            set(SEC_WEBSOCKET_VERSION, "13");
        }
        response
    }

    fn advice(&self) -> &'static str {
        match self {
            HandshakeError::Method => "use GET",
            HandshakeError::HttpVersion => "use HTTP/1.1",
            HandshakeError::NotAnUpgrade => "connect with a WebSocket client to a ws or wss URL",
            HandshakeError::ConnectionNotUpgrade => {
                "configure every proxy on the path to forward Connection and Upgrade"
            }
            HandshakeError::VersionNotSupported => "use Sec-WebSocket-Version: 13 (RFC 6455)",
            HandshakeError::Missing(_) | HandshakeError::Repeated(_) => "send it exactly once",
            HandshakeError::InvalidKey => "send 16 random bytes in base64",
            HandshakeError::InvalidSubprotocols => "send a list of distinct tokens",
            HandshakeError::InvalidExtensions => "follow RFC 6455, section 9.1",
        }
    }
}
