//! Whom the port lets in, and what a link shows to be let in.
//!
//! Owns the check that a configuration is safe where it is used, and the shared secret. Certificates are
//! `tls`'s.

use std::{fmt, net::SocketAddr};

use subtle::ConstantTimeEq;
use tonic::{
    Status,
    metadata::{AsciiMetadataValue, MetadataMap},
};

use super::tls::{Credentials, PeerTls};

/// How nodes know each other: by certificates, by a shared secret, or not at all on a network that only
/// they can reach.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct PeerSecurity {
    /// Certificates on both sides. The default, none, needs a port on loopback or `plaintext`.
    pub tls: Option<PeerTls>,
    /// A secret that all nodes share: visible ASCII. Without TLS it can be read on the way.
    pub secret: Option<String>,
    /// Peers meet without TLS although the port can be reached from elsewhere: right only where the
    /// network itself keeps strangers out. The default is no.
    pub plaintext: bool,
    /// Whether the unary service, which nodes of go-websocket call, answers without the secret although the
    /// port can be reached from elsewhere. The default is no.
    pub open_unary: bool,
}

impl PeerSecurity {
    /// Whether peers may meet on this port so.
    pub fn validate(&self, port: SocketAddr) -> Result<(), SecurityError> {
        if self.tls.is_some() || self.plaintext || port.ip().is_loopback() {
            return Ok(());
        }
        Err(match self.secret {
            Some(_) => SecurityError::ReadableSecret(port),
            None => SecurityError::Open(port),
        })
    }
}

impl fmt::Debug for PeerSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerSecurity")
            .field("tls", &self.tls.is_some())
            .field("secret", &self.secret.is_some())
            .field("plaintext", &self.plaintext)
            .field("open_unary", &self.open_unary)
            .finish()
    }
}

/// A configuration of peers that is unsafe or cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// Anybody who reaches the port could send to every client.
    #[error(
        "the peer port {0} would let anybody in: give certificates for peers, bind it to loopback, or \
         allow plaintext by name where the network keeps strangers out"
    )]
    Open(SocketAddr),
    /// The secret would travel without TLS.
    #[error(
        "the cluster's secret would be readable on its way to the peer port {0}: give certificates for \
         peers, bind it to loopback, or allow plaintext by name where the network keeps strangers out"
    )]
    ReadableSecret(SocketAddr),
    /// The secret is empty or no visible ASCII.
    #[error("the cluster's secret must be visible ASCII characters, at least one")]
    Secret,
    /// The peers' certificate, key or authority cannot be used.
    #[error("cannot use the peers' {what}: {why}")]
    Tls {
        /// Which of them.
        what: &'static str,
        /// Why.
        why: String,
    },
}

/// A secret and certificates, ready for use.
pub(in crate::link) struct Trust {
    pub(in crate::link) credentials: Option<Credentials>,
    bearer: Option<AsciiMetadataValue>,
}

impl Trust {
    pub(in crate::link) fn new(security: &PeerSecurity) -> Result<Self, SecurityError> {
        let bearer = match &security.secret {
            Some(secret) if secret.is_empty() || !secret.bytes().all(|b| b.is_ascii_graphic()) => {
                return Err(SecurityError::Secret);
            }
            Some(secret) => Some(bearer(secret)?),
            None => None,
        };
        let credentials = security.tls.as_ref().map(Credentials::new).transpose()?;
        Ok(Self {
            credentials,
            bearer,
        })
    }

    /// Adds the secret to a request.
    pub(in crate::link) fn attach_secret(&self, metadata: &mut MetadataMap) {
        if let Some(bearer) = &self.bearer {
            metadata.insert("authorization", bearer.clone());
        }
    }

    /// Whether a request bears the secret in this header, if there is one. How long this takes says nothing
    /// about it.
    pub(in crate::link) fn check(&self, authorization: Option<&[u8]>) -> Result<(), Status> {
        let Some(expected) = &self.bearer else {
            return Ok(());
        };
        if bool::from(expected.as_ref().ct_eq(authorization.unwrap_or_default())) {
            Ok(())
        } else {
            Err(Status::unauthenticated(
                "the cluster's secret is missing or wrong",
            ))
        }
    }
}

fn bearer(secret: &str) -> Result<AsciiMetadataValue, SecurityError> {
    let mut value: AsciiMetadataValue = format!("Bearer {secret}")
        .parse()
        .map_err(|_| SecurityError::Secret)?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("tls", &self.credentials.is_some())
            .field("secret", &self.bearer.is_some())
            .finish()
    }
}
