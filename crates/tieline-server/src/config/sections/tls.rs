//! The certificates that clients see, and those that clients show.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use tieline::{ClientAuth, Tls, TlsCertificate, TlsConfig};

use crate::config::{error::ConfigErrors, files, section::section, types::choices};

section! {
    /// TLS for clients.
    pub(crate) struct TlsSettings in "tls" {
        cert: Option<PathBuf> = None,
            "File with the certificate chain, leaf first (PEM).",
            "Needs `tls.key`. Each connection then costs more memory and CPU; see docs/tls.md.",
            without: "no TLS", flag: "tls-cert", live: true;
        key: Option<PathBuf> = None,
            "File with the private key of the certificate (PEM).",
            "Needs `tls.cert`. Only the server should be able to read it.",
            without: "no TLS", flag: "tls-key", live: true;
        client_ca: Option<PathBuf> = None,
            "File with the CA certificates that verify certificates of clients (PEM).",
            "Any certificate that they signed for clients is accepted. Needs a certificate of the server.",
            without: "clients are not asked for certificates", flag: "tls-client-ca", live: true;
        client_certificates: ClientCertificates = ClientCertificates::Required,
            "Whether a client needs a certificate: \"required\" or \"optional\".",
            "Required ones are required of health checks and backends too, but not at the admin port. Has an effect with `tls.client_ca` only.",
            flag: "tls-client-certificates", live: true;
        client_user: Option<ClientUser> = None,
            "Where a client's certificate names its user: \"cn\" of its subject, or \"dns\", \"email\" or \"uri\" of its \
             alternative names.",
            "A client with a certificate then needs no token. Needs `tls.client_ca`.",
            flag: "tls-client-user", live: true, without: "certificates name no users";
        client_roles: Vec<String> = Vec::new(),
            "What clients with a certificate and without a token may do: roles, as in tokens.",
            "Has an effect with `tls.client_user` only.",
            flag: "tls-client-role", variable: "TIELINE_TLS_CLIENT_ROLES", metavar: "ROLE", live: true,
            without: "receive, and send events";
        check_interval: Duration = Duration::from_secs(5),
            "Time between looks at the files of certificates, for clients and between nodes.",
            "New contents are used for new connections; what cannot be used is logged and changes nothing. 0s looks at \
             SIGHUP only.",
            flag: "tls-check-interval", live: true;
    }
}

section! {
    /// A further certificate.
    pub(crate) struct CertificateTable in "tls.certificates" {
        cert: Option<PathBuf> = None,
            "File with a further certificate chain, leaf first (PEM).",
            "For clients that ask for a name in it. Others get `tls.cert`, or the first of the list without that.",
            without: "required", live: true;
        key: Option<PathBuf> = None,
            "File with the private key of the certificate (PEM).",
            "Only the server should be able to read it.",
            without: "required", live: true;
    }
}

/// The place of the list.
pub(crate) const CERTIFICATES: &str = "tls.certificates";

choices! {
    /// Whether clients need a certificate.
    pub(crate) enum ClientCertificates {
        Required = "required",
        Optional = "optional",
    }
}

choices! {
    /// Where a certificate names its user.
    pub(crate) enum ClientUser {
        CommonName = "cn",
        DnsName = "dns",
        Email = "email",
        Uri = "uri",
    }
}

impl TlsSettings {
    /// Reads the files, if there are any, and checks that they can be used.
    pub(crate) fn read_files(
        &self,
        further: &[CertificateTable],
    ) -> anyhow::Result<Option<TlsConfig>> {
        let own = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                Some((cert, key, ["--tls-cert", "--tls-key"].map(str::to_owned)))
            }
            (None, None) => None,
            (Some(_), None) => return Err(needs("--tls-cert", "--tls-key")),
            (None, Some(_)) => return Err(needs("--tls-key", "--tls-cert")),
        };
        let further = further.iter().enumerate().map(|(index, table)| {
            let place = format!("`{CERTIFICATES}[{index}]`");
            match (&table.cert, &table.key) {
                (Some(cert), Some(key)) => Ok((cert, key, [place.clone(), place])),
                _ => Err(needs(&place, "`cert` and `key`")),
            }
        });
        let pairs = own.map(Ok).into_iter().chain(further);
        let pairs = pairs.collect::<anyhow::Result<Vec<_>>>()?;
        if self.client_user.is_some() && self.client_ca.is_none() {
            return Err(needs("--tls-client-user", "--tls-client-ca"));
        }
        if pairs.is_empty() {
            let needless = self.client_ca.is_none();
            let error = || needs("--tls-client-ca", "--tls-cert");
            return needless.then_some(None).ok_or_else(error);
        }
        let mut config = TlsConfig::new("", "");
        let certificates = pairs.into_iter().map(|(cert, key, [of_cert, of_key])| {
            let certificate = TlsCertificate {
                chain: files::read(cert).context(of_cert)?,
                key: files::read(key).context(of_key)?,
            };
            let alone = Tls::from_pem(&certificate.chain, &certificate.key);
            alone.with_context(|| format!("cannot use {}", cert.display()))?;
            anyhow::Ok(certificate)
        });
        config.certificates = certificates.collect::<Result<_, _>>()?;
        if let Some(authorities) = &self.client_ca {
            config.client_auth = Some(ClientAuth {
                authorities: files::read(authorities).context("--tls-client-ca")?,
                required: self.client_certificates == ClientCertificates::Required,
            });
            Tls::new(&config).with_context(|| format!("cannot use {}", authorities.display()))?;
        }
        Ok(Some(config))
    }
}

fn needs(given: &str, missing: &str) -> anyhow::Error {
    ConfigErrors::one(format!("{given} needs {missing}")).into()
}
