//! The shared secret, and the check that a configuration is safe on a given port.
//!
//! Owns the proof that a side has the secret, and the comparison of the secret, in constant time. Must not know
//! requests beyond their metadata, or what a proof is about.
//! Invariant: no debug output contains the secret or a key.

use std::{fmt, net::SocketAddr, sync::Arc};

use aws_lc_rs::hmac;
use bytes::Bytes;
use parking_lot::RwLock;
use subtle::ConstantTimeEq;
use tonic::{
    Status,
    metadata::{AsciiMetadataValue, MetadataMap},
};

use super::{
    error::SecurityError,
    tls::{Credentials, PeerTls},
};

/// How nodes authenticate each other: with certificates, with a shared secret, or not at all on a network
/// that only they can reach.
///
/// More settings may be added, so start from the default and set fields:
///
/// ```
/// use tieline::PeerSecurity;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut security = PeerSecurity::default();
/// security.secret = Some("nine-random-words".into());
/// security.plaintext = true; // on a network that only the nodes can reach
/// security.validate("10.0.0.1:9300".parse()?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct PeerSecurity {
    /// Certificates on both sides. Default: none, which requires a port on loopback or `plaintext`.
    pub tls: Option<PeerTls>,
    /// A secret that all nodes share: visible ASCII. The two sides of a link prove to each other that they
    /// have it, by HMAC-SHA256, and do not send it. Whoever records a link without TLS can try guesses, so
    /// use at least 128 random bits. Calls to a go-websocket node send it, over TLS or loopback only.
    /// Default: none.
    pub secret: Option<String>,
    /// Allow peers to connect without TLS on a port that is not on loopback. Use only on a
    /// trusted network. Default: off.
    pub plaintext: bool,
    /// Let the unary service, which go-websocket nodes call, accept calls without the secret on a port that
    /// is not on loopback. Default: off.
    pub open_unary: bool,
}

impl PeerSecurity {
    /// Checks that this configuration is safe on this port.
    ///
    /// # Errors
    /// [`SecurityError::Open`] if the port is not on loopback and there are neither certificates nor
    /// `plaintext`; [`SecurityError::Unencrypted`] if it has a secret but is otherwise the same.
    pub fn validate(&self, port: SocketAddr) -> Result<(), SecurityError> {
        if self.tls.is_some() || self.plaintext || port.ip().is_loopback() {
            return Ok(());
        }
        Err(match self.secret {
            Some(_) => SecurityError::Unencrypted(port),
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

/// The secret and the certificates, ready for use.
pub(in crate::link) struct Trust {
    /// A connection uses those of the moment at which it is made.
    credentials: Option<RwLock<Arc<Credentials>>>,
    bearer: Option<AsciiMetadataValue>,
    key: Option<hmac::Key>,
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
        let key = security.secret.as_deref().map(str::as_bytes);
        Ok(Self {
            credentials: credentials.map(|credentials| RwLock::new(Arc::new(credentials))),
            bearer,
            key: key.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret)),
        })
    }

    /// The certificates, unless peers connect without TLS.
    pub(in crate::link) fn credentials(&self) -> Option<Arc<Credentials>> {
        self.credentials
            .as_ref()
            .map(|credentials| Arc::clone(&credentials.read()))
    }

    /// Replaces the certificates for connections from now on.
    pub(in crate::link) fn replace(&self, tls: &PeerTls) -> Result<(), SecurityError> {
        let Some(credentials) = &self.credentials else {
            return Err(SecurityError::NoTls);
        };
        let replacement = Arc::new(Credentials::new(tls)?);
        *credentials.write() = replacement;
        Ok(())
    }

    /// Proves that this side has the secret, without disclosing it; empty if none is configured. `what` says
    /// who proves it to whom, so that the proof serves no other purpose.
    pub(in crate::link) fn prove(&self, what: &[u8]) -> Bytes {
        let proof = self.key.as_ref().map(|key| hmac::sign(key, what));
        proof.map_or_else(Bytes::new, |tag| Bytes::copy_from_slice(tag.as_ref()))
    }

    /// Whether the other side has the same secret, or has none as this side.
    pub(in crate::link) fn is_proven(&self, what: &[u8], proof: &[u8]) -> bool {
        match &self.key {
            Some(key) => hmac::verify(key, what, proof).is_ok(),
            None => proof.is_empty(),
        }
    }

    /// Adds the secret to a request's metadata.
    pub(in crate::link) fn attach_secret(&self, metadata: &mut MetadataMap) {
        if let Some(bearer) = &self.bearer {
            metadata.insert("authorization", bearer.clone());
        }
    }

    /// Checks a request's `authorization` header against the secret, if one is configured. Takes the same
    /// time however many bytes match, so that the secret cannot be guessed byte by byte.
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
            .finish_non_exhaustive()
    }
}
