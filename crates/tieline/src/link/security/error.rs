//! Why a security configuration is refused.
//!
//! Owns the texts, each of which says what to change. Must not know the TLS library: its errors appear as
//! text.

use std::net::SocketAddr;

/// A security configuration that is unsafe or unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// Anyone who reaches the port could send to every client.
    #[error(
        "the peer port {0} is open to anyone: configure peer certificates, listen on loopback, or allow \
         plaintext on a trusted network"
    )]
    Open(SocketAddr),
    /// Messages would travel without TLS. The secret itself is not sent between nodes, but whoever is on the
    /// way could read what is, and take a link over.
    #[error(
        "messages to the peer port {0} would be sent unencrypted: configure peer certificates, listen on \
         loopback, or allow plaintext on a trusted network"
    )]
    Unencrypted(SocketAddr),
    /// The secret is empty or not visible ASCII.
    #[error("the cluster's secret must be one or more visible ASCII characters")]
    Secret,
    /// There are no certificates to replace: nodes change to TLS all at once, with a restart.
    #[error("peers connect without TLS: restart all nodes with peer certificates")]
    NoTls,
    /// The peers' certificate, key or authority is unusable.
    #[error("cannot use the peers' {what}: {why}")]
    Tls {
        /// Which part: `certificate`, `private key`, `authorities` or `name`.
        what: &'static str,
        /// The reason.
        why: String,
    },
}
