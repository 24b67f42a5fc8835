//! The certificates in use.
//!
//! Owns their replacement. Must not know PEM.

use std::{fmt, io, sync::Arc};

use parking_lot::RwLock;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::config::{TlsConfig, TlsError};

/// Certificates and their keys for [`Listener::tls`](crate::Listener::tls): TLS 1.2 and 1.3, HTTP/1.1 by ALPN.
/// Cheap to clone; all clones have the same certificates, also after [`replace`](Self::replace).
///
/// ```no_run
/// use tieline::{Listener, Tls};
///
/// # async fn bind() -> Result<Listener, Box<dyn std::error::Error>> {
/// let tls = Tls::from_pem(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
/// let listener = Listener::bind("0.0.0.0:443").await?.tls(tls);
/// # Ok(listener)
/// # }
/// ```
#[derive(Clone)]
pub struct Tls(Arc<RwLock<Arc<ServerConfig>>>);

impl Tls {
    /// Reads the certificates of a configuration.
    ///
    /// # Errors
    /// If one of them cannot be read, or a key does not belong to its certificate.
    pub fn new(config: &TlsConfig) -> Result<Self, TlsError> {
        let config = Arc::new(config.read()?);
        Ok(Self(Arc::new(RwLock::new(config))))
    }

    /// One certificate, as PEM text: its chain, leaf first, and its private key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// # Errors
    /// As [`Tls::new`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::new(&TlsConfig::new(chain, key))
    }

    /// Replaces the certificates, and what clients' certificates are checked against, for connections that are
    /// accepted from now on. Those that are open stay as they are. No client resumes a session from before.
    ///
    /// # Errors
    /// As [`Tls::new`]; then nothing has changed.
    ///
    /// ```no_run
    /// # use tieline::{Tls, TlsConfig};
    /// fn renew(tls: &Tls) -> Result<(), Box<dyn std::error::Error>> {
    ///     let (chain, key) = (std::fs::read("chain.pem")?, std::fs::read("key.pem")?);
    ///     Ok(tls.replace(&TlsConfig::new(chain, key))?)
    /// }
    /// ```
    pub fn replace(&self, config: &TlsConfig) -> Result<(), TlsError> {
        let config = Arc::new(config.read()?);
        *self.0.write() = config;
        Ok(())
    }

    pub(in crate::listener) async fn accept(
        &self,
        tcp: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.0.read());
        TlsAcceptor::from(config).accept(tcp).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}
