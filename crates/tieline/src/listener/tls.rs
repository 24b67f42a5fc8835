//! TLS for the listener, by rustls.
//!
//! Owns the certificate and the key. Knows no HTTP beyond its name in ALPN.

use std::{fmt, io, sync::Arc};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// A certificate and its key for [`Listener::tls`](crate::Listener::tls): TLS 1.2 and 1.3, HTTP/1.1 by ALPN.
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
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads PEM text: the certificate chain, leaf first, and its private key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// # Errors
    /// If one of them cannot be read, or the key does not belong to the certificate.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|e| TlsError::Certificate(e.to_string()))?;
        if chain.is_empty() {
            return Err(TlsError::Certificate(
                "no certificate in the PEM text".into(),
            ));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| match e {
            pem::Error::NoItemsFound => TlsError::Key("no private key in the PEM text".into()),
            e => TlsError::Key(e.to_string()),
        })?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|e| TlsError::Key(e.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) async fn accept(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.0.accept(tcp).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}

/// Why a certificate or key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The certificate chain cannot be read.
    #[error("cannot read the certificate: {0}")]
    Certificate(String),
    /// The private key cannot be read, or does not belong to the certificate.
    #[error("cannot use the private key: {0}")]
    Key(String),
}
