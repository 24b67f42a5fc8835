//! Why a request is not upgraded, and the HTTP answer that says so.

use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

/// Why a request cannot be upgraded to WebSocket (RFC 6455, section 4.2.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The method is not GET.
    #[error("method is not GET")]
    Method,
    /// The HTTP version is not 1.1. HTTP/2 and later have no `Upgrade`; their way to WebSocket
    /// (RFC 8441) is another.
    #[error("http version is not 1.1")]
    HttpVersion,
    /// There is no `Upgrade: websocket`: an ordinary HTTP request.
    #[error("request does not ask for an upgrade to websocket")]
    NotAnUpgrade,
    /// `Connection` does not list `upgrade`: most often, a proxy on the way has removed it.
    #[error("connection header does not list upgrade")]
    ConnectionNotUpgrade,
    /// `Sec-WebSocket-Version` is missing or not 13.
    #[error("websocket version is not 13")]
    VersionNotSupported,
    /// A header that must be there is not.
    #[error("header {0} is missing")]
    Missing(HeaderName),
    /// A header that must be there once is there several times.
    #[error("header {0} is repeated")]
    Repeated(HeaderName),
    /// `Sec-WebSocket-Key` is not 16 bytes in base64.
    #[error("websocket key is not 16 bytes in base64")]
    InvalidKey,
    /// `Sec-WebSocket-Protocol` holds something that is no token, or names a subprotocol twice.
    #[error("list of subprotocols is malformed")]
    InvalidSubprotocols,
    /// `Sec-WebSocket-Extensions` does not follow the grammar of RFC 6455, section 9.1, which
    /// demands that the handshake fails then.
    #[error("list of extensions is malformed")]
    InvalidExtensions,
}

impl HandshakeError {
    /// The status of the answer: 405 for the method, 426 for a request that asks for no upgrade or
    /// another version (RFC 6455, section 4.4; RFC 9110, section 15.5.22), else 400.
    pub fn status(&self) -> StatusCode {
        match self {
            HandshakeError::Method => StatusCode::METHOD_NOT_ALLOWED,
            HandshakeError::NotAnUpgrade | HandshakeError::VersionNotSupported => {
                StatusCode::UPGRADE_REQUIRED
            }
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The answer: the status, the headers that belong to it (`Allow` with 405; `Upgrade`,
    /// `Connection` and `Sec-WebSocket-Version` with 426) and one line of text that says what to
    /// do.
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
                "have every proxy on the way pass Connection and Upgrade on"
            }
            HandshakeError::VersionNotSupported => "use Sec-WebSocket-Version: 13 (RFC 6455)",
            HandshakeError::Missing(_) | HandshakeError::Repeated(_) => "send it exactly once",
            HandshakeError::InvalidKey => "send 16 random bytes in base64",
            HandshakeError::InvalidSubprotocols => "send a list of distinct tokens",
            HandshakeError::InvalidExtensions => "follow RFC 6455, section 9.1",
        }
    }
}
