//! What the listener knows about a request.
//!
//! Plain values, passed to the upgrade.

use std::net::SocketAddr;

use tokio::time::Instant;

#[cfg(feature = "tls")]
use super::client_certificate::ClientCertificate;
use super::peer::Peer;

/// Where a request came from and when; a request extension.
#[derive(Debug, Clone)]
pub(crate) struct AcceptInfo {
    /// The client, as far as proxies that are believed say who it is.
    pub(crate) peer: Peer,
    /// When the head of the request was complete; the application's decision has its time from here.
    pub(crate) requested_at: Instant,
    /// When the client's first bytes arrived, which may be long before the accept.
    pub(crate) arrived_at: Instant,
    /// Whether the listener has decrypted it.
    pub(crate) is_tls: bool,
    #[cfg(feature = "tls")]
    pub(crate) client_certificate: Option<ClientCertificate>,
}

/// The address of the client that a request came from, as
/// [`UpgradeRequest::remote_addr`](crate::UpgradeRequest::remote_addr), for routes that are no upgrade. `None` too if
/// the request did not come through a [`Listener`](crate::Listener).
///
/// ```
/// fn is_local<B>(request: &http::Request<B>) -> bool {
///     let address = tieline::client_addr(request.extensions());
///     address.is_some_and(|address| address.ip().is_loopback())
/// }
/// ```
pub fn client_addr(extensions: &http::Extensions) -> Option<SocketAddr> {
    extensions.get::<AcceptInfo>()?.peer.address()
}
