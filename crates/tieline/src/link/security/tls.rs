//! Mutual TLS between nodes, by rustls.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::trust::SecurityError;

/// Certificates between nodes, as PEM text: both sides of a link present one and ask for one.
#[derive(Clone)]
pub struct PeerTls {
    /// This node's chain, leaf first. Its name must be the host under which peers dial it, or
    /// [`name`](Self::name); it must serve both as a server's and as a client's.
    pub certificate: Vec<u8>,
    /// The certificate's private key: PKCS#8, PKCS#1 or SEC1.
    pub key: Vec<u8>,
    /// The authorities that sign nodes' certificates. Whatever else they sign is let in too.
    pub authorities: Vec<u8>,
    /// The name that all nodes' certificates bear, where they do not name hosts.
    pub name: Option<String>,
}

impl fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerTls")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Certificates, ready for both sides.
pub(in crate::link) struct Credentials {
    pub(in crate::link) acceptor: TlsAcceptor,
    pub(in crate::link) connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl Credentials {
    pub(in crate::link) fn new(tls: &PeerTls) -> Result<Self, SecurityError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = certificates("certificate", &tls.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&tls.key).map_err(|e| refuse("private key", &e))?;
        let mut authorities = RootCertStore::empty();
        for authority in certificates("authorities", &tls.authorities)? {
            authorities
                .add(authority)
                .map_err(|e| refuse("authorities", &e))?;
        }
        let authorities = Arc::new(authorities);
        let server = server(&provider, &authorities, chain.clone(), key.clone_key())?;
        let client = client(provider, authorities, chain, key)?;
        let name = tls.name.clone().map(ServerName::try_from).transpose();
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
            name: name.map_err(|e| refuse("name", &e))?,
        })
    }

    /// The name that a peer's certificate must bear when it is dialled under `host`.
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
        .map_err(|e| refuse(what, &e))?;
    if chain.is_empty() {
        return Err(refuse(what, &"no certificate in the PEM text"));
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
            .map_err(|e| refuse("authorities", &e))?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_client_cert_verifier(verifier))
        .and_then(|builder| builder.with_single_cert(chain, key))
        .map_err(|e| refuse("private key", &e))?;
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
        .map_err(|e| refuse("private key", &e))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn refuse(what: &'static str, why: &dyn fmt::Display) -> SecurityError {
    SecurityError::Tls {
        what,
        why: why.to_string(),
    }
}
