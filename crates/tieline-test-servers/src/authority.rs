//! Certificates for servers and clients with TLS.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A certificate authority for one test.
#[derive(Clone)]
pub struct Authority {
    params: CertificateParams,
    key: String,
    pem: String,
}

impl Authority {
    /// Generates an authority with a new key.
    #[expect(
        clippy::new_without_default,
        reason = "each call makes a different one"
    )]
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        // The name must differ from those of the certificates that it issues: with the same name,
        // they would look self-signed.
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let key = key.serialize_pem();
        Self { params, key, pem }
    }

    /// Its own certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for 127.0.0.1, and its key.
    pub fn issue(&self) -> (String, String) {
        self.sign(CertificateParams::new(["127.0.0.1".to_owned()]).unwrap())
    }

    /// A certificate with these parameters, and its key.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "they are made for one certificate"
    )]
    pub fn sign(&self, params: CertificateParams) -> (String, String) {
        let own = KeyPair::from_pem(&self.key).unwrap();
        let issuer = Issuer::from_params(&self.params, &own);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}
