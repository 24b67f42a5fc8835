//! The options that a URL cannot express.
//!
//! Owns the defaults, and the lower bound of the timeout. Must not know the client. Invariant: no debug output
//! contains a certificate or a key.

use std::{fmt, time::Duration};

/// The options of an [`EtcdRegistry`](crate::EtcdRegistry) that its URL cannot express: timeout and
/// certificates.
///
/// ```
/// use std::time::Duration;
/// use tieline_registry::EtcdOptions;
///
/// let options = EtcdOptions::new().timeout(Duration::from_millis(500));
/// ```
#[derive(Clone)]
pub struct EtcdOptions {
    pub(super) timeout: Duration,
    pub(super) ca: Option<String>,
    pub(super) client: Option<(String, String)>,
}

impl EtcdOptions {
    /// The defaults: a timeout of 1 s, and no certificates.
    pub fn new() -> Self {
        Self {
            timeout: Duration::from_secs(1),
            ca: None,
            client: None,
        }
    }

    /// How long one call may take, including failover to other endpoints. Default: 1 s; at least 10 ms. An
    /// operation makes one call, or a few if other nodes claim the same ids at the same time; a walk over
    /// many ids makes one per page.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(10));
        self
    }

    /// The certificates of the authorities to trust, as PEM. `etcds://` requires them, because the system's
    /// authorities are not used.
    pub fn ca_pem(mut self, pem: impl Into<String>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// The client certificate and its key, as PEM, for servers that require one. Default: none.
    pub fn client_pem(mut self, certificate: impl Into<String>, key: impl Into<String>) -> Self {
        self.client = Some((certificate.into(), key.into()));
        self
    }
}

impl Default for EtcdOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows no key.
impl fmt::Debug for EtcdOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdOptions")
            .field("timeout", &self.timeout)
            .field("ca", &self.ca.is_some())
            .field("client", &self.client.is_some())
            .finish()
    }
}
