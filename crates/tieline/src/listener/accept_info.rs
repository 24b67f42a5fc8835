//! What the listener knows of a request.

use std::net::SocketAddr;

use tokio::time::Instant;

/// Where a request came from and when; it travels to the upgrade as a request extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AcceptInfo {
    pub(crate) remote_addr: SocketAddr,
    /// When the handshake began: the accept, or a later request on the same HTTP connection.
    pub(crate) at: Instant,
    /// When the client's bytes came, which may be long before the accept.
    pub(crate) arrived: Instant,
}
