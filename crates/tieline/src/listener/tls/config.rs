//! What a listener needs for TLS, as PEM text, and its conversion for rustls.
//!
//! Must not know sockets, nor when certificates are replaced. Invariant: no key shows in `Debug` output.

use std::{fmt, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};

use super::selection::Selection;

/// The certificates of a listener, and whether it asks clients for theirs.
///
/// ```
/// use tieline::{ClientAuth, TlsCertificate, TlsConfig};
///
/// fn config(chain: &[u8], key: &[u8], other: TlsCertificate, authorities: &[u8]) -> TlsConfig {
///     let mut config = TlsConfig::new(chain, key);
///     config.certificates.push(other);
///     config.client_auth = Some(ClientAuth { authorities: authorities.into(), required: true });
///     config
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsConfig {
    /// At least one. A client that asks for a name (SNI) gets the first certificate that is valid for it and
    /// whose kind of key it supports. Others get the first of all.
    pub certificates: Vec<TlsCertificate>,
    /// Whether clients are asked for certificates. Default: they are not.
    pub client_auth: Option<ClientAuth>,
}

/// A certificate with its key, as PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsCertificate {
    /// The chain, leaf first.
    pub chain: Vec<u8>,
    /// The private key: PKCS#8, PKCS#1 or SEC1.
    pub key: Vec<u8>,
}

/// Which certificates of clients are accepted. They are not checked for revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// The authorities that sign clients' certificates, as PEM text. Any certificate that they sign for client
    /// authentication is accepted, so use authorities that sign nothing else.
    pub authorities: Vec<u8>,
    /// Whether a client without a certificate is refused in the handshake. One with a certificate that is not
    /// valid always is.
    pub required: bool,
}

impl TlsConfig {
    /// One certificate, and none of clients.
    pub fn new(chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let (chain, key) = (chain.into(), key.into());
        Self {
            certificates: vec![TlsCertificate { chain, key }],
            client_auth: None,
        }
    }

    pub(super) fn read(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let certificates = self.certificates.iter();
        let certificates = certificates.map(|certificate| certificate.read(&provider));
        let selection = Selection::new(certificates.collect::<Result<_, _>>()?);
        let selection = selection
            .ok_or_else(|| TlsError::Certificate("no certificate is configured".into()))?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| TlsError::Key(e.to_string()))?;
        let builder = match &self.client_auth {
            Some(clients) => builder.with_client_cert_verifier(clients.read(provider)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(selection));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl TlsCertificate {
    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let chain = certificates(&self.chain).map_err(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|e| match e {
            pem::Error::NoItemsFound => TlsError::Key("no private key in the PEM text".into()),
            e => TlsError::Key(e.to_string()),
        })?;
        // Compares the key with that of the certificate.
        CertifiedKey::from_der(chain, key, provider).map_err(|e| TlsError::Key(e.to_string()))
    }
}

impl ClientAuth {
    fn read(&self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in certificates(&self.authorities).map_err(TlsError::Authorities)? {
            let added = roots.add(authority);
            added.map_err(|e| TlsError::Authorities(e.to_string()))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if self.required {
            builder
        } else {
            builder.allow_unauthenticated()
        };
        let built = builder.build();
        built.map_err(|e| TlsError::Authorities(e.to_string()))
    }
}

/// All certificates of a PEM text; at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())?;
    if chain.is_empty() {
        return Err("no certificate in the PEM text".into());
    }
    Ok(chain)
}

impl fmt::Debug for TlsCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsCertificate").finish_non_exhaustive()
    }
}

/// Why certificates or keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate chain cannot be read, or there is none.
    #[error("cannot read the certificate: {0}")]
    Certificate(String),
    /// A private key cannot be read, or does not belong to its certificate.
    #[error("cannot use the private key: {0}")]
    Key(String),
    /// The authorities of clients' certificates cannot be read.
    #[error("cannot use the authorities of client certificates: {0}")]
    Authorities(String),
}
