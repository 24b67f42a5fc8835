//! What the listener knows about a request.
//!
//! Plain values, passed to the upgrade.

use std::net::SocketAddr;

use tokio::time::Instant;

#[cfg(feature = "tls")]
use super::client_certificate::ClientCertificate;

/// Where a request came from and when; a request extension.
#[derive(Debug, Clone)]
pub(crate) struct AcceptInfo {
    pub(crate) remote_addr: SocketAddr,
    /// When the head of the request was complete; the application's decision has its time from here.
    pub(crate) requested_at: Instant,
    /// When the client's first bytes arrived, which may be long before the accept.
    pub(crate) arrived_at: Instant,
    #[cfg(feature = "tls")]
    pub(crate) client_certificate: Option<ClientCertificate>,
}
