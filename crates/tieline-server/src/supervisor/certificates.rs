//! The certificates in use, which follow their files.
//!
//! Owns when new contents of the files are used. Must not know what the files are for, nor the rest of the
//! configuration. Invariants: what cannot be used changes nothing, and is logged once; no connection is closed.
//!
//! The contents are compared, not times: Kubernetes replaces a secret by a symbolic link to another folder, and a
//! watch of the kernel sees that as many things, or as none on some file systems. Reading a few kilobytes every few
//! seconds costs nothing.

use std::sync::{Arc, OnceLock};

use tieline::{Cluster, PeerTls, Tls, TlsConfig};

use super::expiry::{Expiry, ExpiryWatch};
use crate::{config::settings::Settings, metrics::METRICS};

/// What the files of certificates contain.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CertificateFiles {
    pub(crate) clients: Option<TlsConfig>,
    pub(crate) peers: Option<PeerTls>,
}

impl CertificateFiles {
    fn read(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            clients: settings.tls.read_files(&settings.certificates)?,
            peers: settings.cluster.tls()?,
        })
    }

    /// When the first of those for clients and the first of those for peers expire.
    pub(crate) fn expiries(&self) -> impl Iterator<Item = Expiry> {
        let clients = self.clients.iter().flat_map(|tls| &tls.certificates);
        let clients = clients.map(|certificate| &*certificate.chain);
        let peers = self.peers.iter().map(|tls| &*tls.certificate);
        let all = [Expiry::of("clients", clients), Expiry::of("peers", peers)];
        all.into_iter().flatten()
    }

    fn is_empty(&self) -> bool {
        self.clients.is_none() && self.peers.is_none()
    }

    /// Without what would turn TLS on or off: a reload has said that this needs a restart, and looking at the files
    /// is no reason to say it again.
    fn of_those_in_use(self, used: &Self) -> Self {
        Self {
            clients: if_in_use(self.clients, used.clients.as_ref()),
            peers: if_in_use(self.peers, used.peers.as_ref()),
        }
    }
}

/// The certificates that connections are made with.
pub(super) struct LiveCertificates {
    /// What is in use.
    used: CertificateFiles,
    clients: Option<Tls>,
    /// `None` if the admin port has no TLS.
    operators: Option<Tls>,
    /// Set once the node has joined. Until then, its certificates cannot be replaced.
    cluster: Arc<OnceLock<Cluster>>,
    /// Why the files could not be used when they were last looked at.
    failure: Option<String>,
    expiry: ExpiryWatch,
}

impl LiveCertificates {
    /// Those of the clients' port and of the admin port.
    pub(super) fn new(
        used: CertificateFiles,
        (clients, operators): (Option<Tls>, Option<Tls>),
        cluster: Arc<OnceLock<Cluster>>,
    ) -> Self {
        let mut expiry = ExpiryWatch::default();
        expiry.replace(used.expiries());
        Self {
            used,
            clients,
            operators,
            cluster,
            failure: None,
            expiry,
        }
    }

    /// Whether the node has joined its cluster, or has none.
    pub(super) fn has_joined(&self) -> bool {
        self.cluster.get().is_some()
    }

    /// Looks at the files, and uses what is new in them. Reads, which may be slow.
    pub(super) fn check(&mut self, settings: &Settings) {
        if self.used.is_empty() {
            return;
        }
        match CertificateFiles::read(settings) {
            Ok(files) => {
                if self.failure.take().is_some() {
                    tracing::info!("the files of the certificates can be used again");
                }
                let files = files.of_those_in_use(&self.used);
                self.replace(&files);
            }
            Err(error) => {
                let failure = format!("{error:#}");
                if self.failure.as_ref() != Some(&failure) {
                    tracing::error!(
                        error = %failure,
                        "the certificates were not reloaded, and the old ones stay in use"
                    );
                }
                self.failure = Some(failure);
                METRICS.certificates_read(false);
                self.look_at_expiry();
            }
        }
    }

    /// Shows when those in use expire.
    pub(super) fn look_at_expiry(&mut self) {
        self.expiry.look();
    }

    /// Uses what was read, where it differs from what is in use.
    pub(super) fn replace(&mut self, files: &CertificateFiles) {
        self.failure = None;
        METRICS.certificates_read(true);
        if files.clients != self.used.clients {
            if let (Some(tls), Some(config)) = (&self.clients, &files.clients) {
                let operators = self.operators.as_ref();
                let replaced = tls.replace(config).and_then(|()| {
                    operators.map_or(Ok(()), |tls| tls.replace(&for_operators(config)))
                });
                report("clients", replaced.map_err(Into::into));
                self.used.clients.clone_from(&files.clients);
                self.expiry.replace(self.used.expiries());
            } else {
                tracing::warn!("turning TLS for clients on or off needs a restart");
            }
        }
        if files.peers != self.used.peers {
            match (self.cluster.get(), &files.peers) {
                (Some(cluster), Some(tls)) => {
                    report("peers", cluster.replace_peer_tls(tls).map_err(Into::into));
                    self.used.peers.clone_from(&files.peers);
                    self.expiry.replace(self.used.expiries());
                }
                (None, Some(_)) => {} // Seen again at the next look.
                (_, None) => tracing::warn!("turning TLS between nodes on or off needs a restart"),
            }
        }
        self.look_at_expiry();
    }
}

/// The certificates of the clients' port for the admin port, which asks nobody for one.
pub(super) fn for_operators(clients: &TlsConfig) -> TlsConfig {
    let mut config = clients.clone();
    config.client_auth = None;
    config
}

fn if_in_use<T: Clone>(new: Option<T>, used: Option<&T>) -> Option<T> {
    match (new, used) {
        (Some(new), Some(_)) => Some(new),
        (_, used) => used.cloned(),
    }
}

fn report(of: &str, replaced: anyhow::Result<()>) {
    match replaced {
        Ok(()) => tracing::info!(
            of,
            "new certificates are in use; open connections keep theirs"
        ),
        Err(error) => tracing::error!(
            of,
            error = %format_args!("{error:#}"),
            "the certificates were not replaced"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_neither_turned_on_nor_off_by_what_is_in_files() {
        assert_eq!(if_in_use(Some("new"), Some(&"used")), Some("new"));
        assert_eq!(if_in_use(None, Some(&"used")), Some("used"));
        assert_eq!(if_in_use(Some("new"), None), None);
        assert_eq!(if_in_use::<&str>(None, None), None);
    }
}
