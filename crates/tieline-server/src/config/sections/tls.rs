//! The certificates that clients see, and those that clients show.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

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

/// The files of a certificate, each with what errors call its option.
struct Pair<'a> {
    cert: (&'a Path, String),
    key: (&'a Path, String),
}

impl TlsSettings {
    /// Reads the files, if there are any, and checks that they can be used.
    pub(crate) fn read_files(
        &self,
        further: &[CertificateTable],
    ) -> Result<Option<TlsConfig>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let pairs = self.pairs(further, &mut errors);
        if self.client_user.is_some() && self.client_ca.is_none() {
            errors.add("--tls-client-user needs --tls-client-ca");
        }
        let is_off = self.cert.is_none() && self.key.is_none() && further.is_empty();
        if is_off && self.client_ca.is_some() {
            errors.add("--tls-client-ca needs --tls-cert");
        }
        let mut config = TlsConfig::new("", "");
        let certificates = pairs.iter().filter_map(|pair| pair.read(&mut errors));
        config.certificates = certificates.collect();
        if let Some(path) = &self.client_ca {
            self.read_authorities(path, &mut config, &mut errors);
        }
        errors.into_result((!is_off).then_some(config))
    }

    /// The certificate of its own, and further ones.
    fn pairs<'a>(
        &'a self,
        further: &'a [CertificateTable],
        errors: &mut ConfigErrors,
    ) -> Vec<Pair<'a>> {
        let mut pairs = Vec::new();
        match (self.cert.as_deref(), self.key.as_deref()) {
            (Some(cert), Some(key)) => pairs.push(Pair {
                cert: (cert, "--tls-cert".into()),
                key: (key, "--tls-key".into()),
            }),
            (None, None) => {}
            (Some(_), None) => errors.add("--tls-cert needs --tls-key"),
            (None, Some(_)) => errors.add("--tls-key needs --tls-cert"),
        }
        for (index, table) in further.iter().enumerate() {
            let name = |option: &str| format!("`{CERTIFICATES}[{index}].{option}`");
            let own = (table.cert.as_deref(), table.key.as_deref());
            let (Some(cert), Some(key)) = own else {
                let missing = [("cert", own.0), ("key", own.1)];
                let missing = missing.iter().filter(|(_, path)| path.is_none());
                missing.for_each(|(option, _)| errors.add(format!("{} is required", name(option))));
                continue;
            };
            pairs.push(Pair {
                cert: (cert, name("cert")),
                key: (key, name("key")),
            });
        }
        pairs
    }

    /// Those that verify clients.
    fn read_authorities(&self, path: &Path, config: &mut TlsConfig, errors: &mut ConfigErrors) {
        let authorities = files::read(path).context("--tls-client-ca");
        let Some(authorities) = errors.take(authorities) else {
            return;
        };
        config.client_auth = Some(ClientAuth {
            authorities,
            required: self.client_certificates == ClientCertificates::Required,
        });
        // Without a certificate, that is what would be reported.
        if !config.certificates.is_empty() {
            let checked = Tls::new(config);
            let place = || format!("--tls-client-ca: cannot use {}", path.display());
            errors.take(checked.with_context(place));
        }
    }
}

impl Pair<'_> {
    fn read(&self, errors: &mut ConfigErrors) -> Option<TlsCertificate> {
        let Self {
            cert: (cert, of_cert),
            key: (key, of_key),
        } = self;
        let chain = errors.take(files::read(cert).with_context(|| of_cert.clone()));
        let key = errors.take(files::read(key).with_context(|| of_key.clone()));
        let (chain, key) = (chain?, key?);
        let alone = Tls::from_pem(&chain, &key);
        let place = || format!("{of_cert}: cannot use {}", cert.display());
        errors.take(alone.with_context(place))?;
        Some(TlsCertificate { chain, key })
    }
}
