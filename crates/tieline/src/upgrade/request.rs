//! An upgrade request as the application sees it.
//!
//! Owns the parsed handshake. Must not know the hub or the node.

use std::{fmt, net::SocketAddr};

use http::{HeaderMap, Uri, header, request::Parts};
use tieline_websocket::handshake;

#[cfg(feature = "tls")]
use crate::listener::ClientCertificate;

/// A request to open a WebSocket: headers, path and query, remote address.
///
/// ```
/// use tieline::{Accept, Refusal, StatusCode, UpgradeRequest};
///
/// async fn authorize(request: UpgradeRequest) -> Result<Accept<()>, Refusal> {
///     match request.query("user") {
///         Some(user) if request.path() == "/chat" => Ok(Accept::new(()).user(user)),
///         _ => Err(Refusal::new(StatusCode::NOT_FOUND, "connect to /chat?user=NAME\n")),
///     }
/// }
/// ```
///
/// The debug form has neither the query nor the headers: they may contain tokens.
#[derive(Clone)]
pub struct UpgradeRequest {
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) remote_addr: Option<SocketAddr>,
    pub(super) handshake: handshake::Request,
    pub(super) is_tls: bool,
    #[cfg(feature = "tls")]
    pub(super) client_certificate: Option<ClientCertificate>,
}

impl UpgradeRequest {
    pub(super) fn new(
        parts: &Parts,
        remote_addr: Option<SocketAddr>,
    ) -> Result<Self, handshake::HandshakeError> {
        let handshake = handshake::Request::parse(&parts.method, parts.version, &parts.headers)?;
        Ok(Self {
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            remote_addr,
            handshake,
            is_tls: false,
            #[cfg(feature = "tls")]
            client_certificate: None,
        })
    }

    /// The path, as in `/ws`.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The decoded value of a query parameter; the first one if there are several.
    pub fn query(&self, name: &str) -> Option<String> {
        let pairs = form_urlencoded::parse(self.uri.query()?.as_bytes());
        pairs
            .into_iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The request target.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The address of the client or, behind a proxy that is [not believed](crate::Proxies), of the proxy. `None` if
    /// the HTTP server does not provide it, the request came over a [Unix socket](crate::Listener::from_unix), or a
    /// proxy that is believed does not say it.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.remote_addr
    }

    /// Whether the request came over TLS to a [`Listener`](crate::Listener) with a certificate. A proxy that ends TLS
    /// says in a header of its own whether its client used it.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The certificate of the client, if the listener [asked for one](crate::ClientAuth) and the client has one.
    #[cfg(feature = "tls")]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.client_certificate.as_ref()
    }

    /// The subprotocols that the client offers, in its order of preference.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.handshake.subprotocols()
    }

    /// The value of a header; the first one if there are several. `None` if it is missing or not visible ASCII
    /// text.
    pub fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for UpgradeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeRequest")
            .field("path", &self.path())
            .field("remote_addr", &self.remote_addr)
            .finish_non_exhaustive()
    }
}
