//! TLS to the servers, with rustls.
//!
//! Owns the certificates and the handshake. The library's own TLS is not used: it reads the system's
//! certificates again for each connection, even if others are given, and it depends on a crypto provider
//! that the application may not have installed.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A TLS connector, ready to use.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

/// The configured certificates, as PEM text.
#[derive(Clone, Default)]
pub(super) struct Certificates {
    /// The authorities to trust instead of the system's.
    pub(super) authorities: Option<Vec<u8>>,
    /// The client's certificate chain and its key, for servers that require one.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("cannot read the certificate authorities: {0}")]
    Authorities(String),
    #[error("cannot read the client certificate or its key: {0}")]
    Identity(String),
    #[error("certificates require a rediss:// URL")]
    PlainUrl,
}

impl Tls {
    pub(super) fn new(certificates: &Certificates) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = match &certificates.authorities {
            Some(pem) => given_roots(pem)?,
            None => system_roots()?,
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Identity(error.to_string()))?
            .with_root_certificates(roots);
        let config = match &certificates.identity {
            Some((chain, key)) => {
                let chain: Result<_, _> = CertificateDer::pem_slice_iter(chain).collect();
                let unread = |error: &dyn ToString| TlsError::Identity(error.to_string());
                let chain = chain.map_err(|error| unread(&error))?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| unread(&error))?;
                let config = config.with_client_auth_cert(chain, key);
                config.map_err(|error| unread(&error))?
            }
            None => config.with_no_client_auth(),
        };
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    pub(super) async fn connect(
        &self,
        host: &str,
        tcp: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.0.connect(name, tcp).await
    }
}

fn given_roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(pem) {
        let authority = authority.map_err(|error| TlsError::Authorities(error.to_string()))?;
        let added = roots.add(authority);
        added.map_err(|error| TlsError::Authorities(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(TlsError::Authorities("the PEM text contains none".into()));
    }
    Ok(roots)
}

/// The system's authorities. Unreadable ones are skipped.
fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    match (roots.is_empty(), found.errors.first()) {
        (false, _) => Ok(roots),
        (true, Some(error)) => Err(TlsError::Authorities(error.to_string())),
        (true, None) => Err(TlsError::Authorities(
            "the system has none; configure one".into(),
        )),
    }
}
