//! The certificate that clients see.

use std::path::PathBuf;

use tieline::Tls;

use crate::config::{error::ConfigErrors, files, section::section};

section! {
    /// TLS for clients.
    pub(crate) struct TlsSettings in "tls" {
        cert: Option<PathBuf> = None,
            "File with the certificate chain, leaf first (PEM).",
            "Needs `tls.key`. Each connection then costs more memory and CPU; see docs/tls.md.",
            without: "no TLS", flag: "tls-cert";
        key: Option<PathBuf> = None,
            "File with the private key of the certificate (PEM).",
            "Needs `tls.cert`. Only the server should be able to read it.",
            without: "no TLS", flag: "tls-key";
    }
}

impl TlsSettings {
    /// Reads certificate and key, if they are given. `name_of` is what to call an option.
    pub(crate) fn read_files(&self) -> anyhow::Result<Option<Tls>> {
        let (cert, key) = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => (cert, key),
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(needs("--tls-cert", "--tls-key")),
            (None, Some(_)) => return Err(needs("--tls-key", "--tls-cert")),
        };
        Ok(Some(Tls::from_pem(
            &files::read(cert)?,
            &files::read(key)?,
        )?))
    }
}

fn needs(given: &str, missing: &str) -> anyhow::Error {
    ConfigErrors::one(format!("{given} needs {missing}")).into()
}
