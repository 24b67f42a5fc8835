//! Mutual TLS between nodes, with rustls.
//!
//! Owns the conversion of PEM text into both sides of a connection. Must not know the shared secret or links.
//! Invariant: each side presents a certificate and verifies the other's against the configured authorities
//! only.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::error::SecurityError;

/// Certificates between nodes, as PEM text: both sides of a link present one and require one.
///
/// ```no_run
/// use std::fs;
/// use tieline::{ClusterConfig, PeerSecurity, PeerTls};
///
/// # fn config() -> std::io::Result<ClusterConfig> {
/// let mut security = PeerSecurity::default();
/// security.tls = Some(PeerTls {
///     certificate: fs::read("node.pem")?,
///     key: fs::read("node.key")?,
///     authorities: fs::read("nodes-ca.pem")?,
///     name: None,
/// });
/// let config = ClusterConfig { security, ..ClusterConfig::default() };
/// # Ok(config)
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PeerTls {
    /// This node's certificate chain, leaf first. It must name the host that peers dial, or
    /// [`name`](Self::name), and be valid for both server and client authentication.
    pub certificate: Vec<u8>,
    /// The private key of the certificate: PKCS#8, PKCS#1 or SEC1.
    pub key: Vec<u8>,
    /// The authorities that sign nodes' certificates. Any certificate that they sign is accepted, so use
    /// authorities that sign nothing else.
    pub authorities: Vec<u8>,
    /// The name in all nodes' certificates, if these do not name hosts. Default: the host that is dialed.
    pub name: Option<String>,
}

impl PeerTls {
    /// Checks that the certificate, its key and the authorities can be used.
    ///
    /// # Errors
    /// [`SecurityError::Tls`] if not.
    pub fn validate(&self) -> Result<(), SecurityError> {
        Credentials::new(self).map(drop)
    }
}

impl fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerTls")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Certificates, ready for use on both sides.
pub(in crate::link) struct Credentials {
    pub(in crate::link) acceptor: TlsAcceptor,
    pub(in crate::link) connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl Credentials {
    pub(in crate::link) fn new(tls: &PeerTls) -> Result<Self, SecurityError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = certificates("certificate", &tls.certificate)?;
        let key =
            PrivateKeyDer::from_pem_slice(&tls.key).map_err(|e| unusable("private key", &e))?;
        let mut authorities = RootCertStore::empty();
        for authority in certificates("authorities", &tls.authorities)? {
            authorities
                .add(authority)
                .map_err(|e| unusable("authorities", &e))?;
        }
        let authorities = Arc::new(authorities);
        let server = server(&provider, &authorities, chain.clone(), key.clone_key())?;
        let client = client(provider, authorities, chain, key)?;
        let name = tls.name.clone().map(ServerName::try_from).transpose();
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
            name: name.map_err(|e| unusable("name", &e))?,
        })
    }

    /// The name that the certificate of a peer dialed at `host` must have.
    pub(in crate::link) fn name(&self, host: &str) -> Option<ServerName<'static>> {
        self.name
            .clone()
            .or_else(|| ServerName::try_from(host.to_owned()).ok())
    }
}

fn certificates(
    what: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, SecurityError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|e| unusable(what, &e))?;
    if chain.is_empty() {
        return Err(unusable(what, &"no certificate in the PEM text"));
    }
    Ok(chain)
}

fn server(
    provider: &Arc<CryptoProvider>,
    authorities: &Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, SecurityError> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(authorities), Arc::clone(provider))
            .build()
            .map_err(|e| unusable("authorities", &e))?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_client_cert_verifier(verifier))
        .and_then(|builder| builder.with_single_cert(chain, key))
        .map_err(|e| unusable("private key", &e))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn client(
    provider: Arc<CryptoProvider>,
    authorities: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, SecurityError> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(authorities))
        .and_then(|builder| builder.with_client_auth_cert(chain, key))
        .map_err(|e| unusable("private key", &e))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn unusable(what: &'static str, why: &dyn fmt::Display) -> SecurityError {
    SecurityError::Tls {
        what,
        why: why.to_string(),
    }
}
