//! What a URL cannot say.

use std::{fmt, time::Duration};

/// How etcd is reached, beyond the URL.
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
    /// Calls of at most 1 s, no certificates.
    pub fn new() -> Self {
        Self {
            timeout: Duration::from_secs(1),
            ca: None,
            client: None,
        }
    }

    /// How long one call may take, failing over to another endpoint included; 1 s by default, and not
    /// less than 10 ms. An operation makes one call, or a few where others claim the same ids; walks
    /// over many ids make one for each page.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(10));
        self
    }

    /// The certificates, as PEM, of the authorities that may sign the servers'. `etcds://` needs them:
    /// those of the system are not consulted.
    pub fn ca_pem(mut self, pem: impl Into<String>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// A certificate and its key, as PEM, with which to identify oneself, for servers that ask for it.
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

/// Without the key.
impl fmt::Debug for EtcdOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdOptions")
            .field("timeout", &self.timeout)
            .field("ca", &self.ca.is_some())
            .field("client", &self.client.is_some())
            .finish()
    }
}
