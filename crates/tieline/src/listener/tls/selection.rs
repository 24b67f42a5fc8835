//! Which certificate a client gets.
//!
//! Owns the comparison with the name that it asks for. Must not know where certificates come from.

use std::sync::Arc;

use rustls::{
    SignatureScheme,
    client::verify_server_name,
    pki_types::ServerName,
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
};

/// All certificates of a listener.
#[derive(Debug)]
pub(super) struct Selection {
    default: Arc<CertifiedKey>,
    all: Vec<Arc<CertifiedKey>>,
}

impl Selection {
    /// `None` without certificates.
    pub(super) fn new(certificates: Vec<CertifiedKey>) -> Option<Self> {
        let all: Vec<_> = certificates.into_iter().map(Arc::new).collect();
        let default = Arc::clone(all.first()?);
        Some(Self { default, all })
    }
}

impl ResolvesServerCert for Selection {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let [only] = &self.all[..] {
            return Some(Arc::clone(only));
        }
        let name = hello.server_name();
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        // For one name there may be a certificate with each kind of key.
        let fitting = name.and_then(|name| {
            let mut named = self
                .all
                .iter()
                .filter(|certificate| names(certificate, &name));
            let first = named.next()?;
            let fits = |key: &&Arc<CertifiedKey>| signs(key, hello.signature_schemes());
            Some(
                std::iter::once(first)
                    .chain(named)
                    .find(fits)
                    .unwrap_or(first),
            )
        });
        Some(Arc::clone(fitting.unwrap_or(&self.default)))
    }
}

/// Whether a certificate is valid for a name. Parsing it again costs a microsecond, of a handshake's several
/// hundred.
fn names(certificate: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let leaf = certificate.end_entity_cert().ok();
    let leaf = leaf.and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
    leaf.is_some_and(|leaf| verify_server_name(&leaf, name).is_ok())
}

fn signs(certificate: &CertifiedKey, offered: &[SignatureScheme]) -> bool {
    certificate.key.choose_scheme(offered).is_some()
}
