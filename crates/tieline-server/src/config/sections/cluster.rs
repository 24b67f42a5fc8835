//! The cluster: its registry, and the links between nodes.
//!
//! Reads the files that the options name. The result is validated by the library, so that an insecure
//! configuration fails before anything starts. Must not listen or connect.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use tieline::{ClusterConfig, Config, PeerSecurity, PeerTls, registry::RegistryTls};

use crate::config::{
    error::ConfigErrors, files, registry_url::RegistryUrl, secret::Secret, section::section,
    types::Size,
};

section! {
    /// The registry that nodes share, and how they reach each other.
    pub(crate) struct ClusterSettings in "cluster" {
        registry: Option<RegistryUrl> = None,
            "Registry that the nodes of the cluster share, such as redis://HOST:6379 or etcd://HOST:2379.",
            "If the URL contains a password, use a file or the variable: other users can read command lines. The \
             password appears in no output.",
            flag: "registry", without: "none: a single node; with `tieline demo`, in memory";
        prefix: String = "tieline".into(),
            "Name of the cluster in the registry.",
            "The same on all nodes of the cluster.",
            flag: "prefix", metavar: "NAME";
        registry_ca: Option<PathBuf> = None,
            "File with the CA certificates that verify the registry (PEM).",
            "For rediss:// and etcds://. Required for etcds://.",
            flag: "registry-ca", without: "the system's";
        registry_cert: Option<PathBuf> = None,
            "File with the client certificate chain for the registry, leaf first (PEM).",
            "Needs `cluster.registry_key`.",
            flag: "registry-cert", without: "none";
        registry_key: Option<PathBuf> = None,
            "File with the private key of `cluster.registry_cert` (PEM).",
            "Only the server should be able to read it.",
            flag: "registry-key", without: "none";
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 9300)),
            "Address to listen on for other nodes.",
            "Nodes on the same machine need different ports. Beyond loopback it needs certificates or \
             `cluster.plaintext`.",
            flag: "peers-listen";
        advertise: Option<String> = None,
            "Address at which other nodes reach this one; IPv6 in brackets, as in [fd00::5]:9300.",
            "If it is wrong, messages to the clients of this node fail.",
            flag: "advertise", metavar: "HOST:PORT",
            without: "`cluster.listen`, or the machine's first address if that is 0.0.0.0 or [::]";
        secret: Option<Secret> = None,
            "Secret that all nodes share, in visible ASCII.",
            "Prefer a file or the variable: other users can read command lines.",
            flag: "peer-secret", file_flag: "peer-secret-file", without: "none";
        tls_cert: Option<PathBuf> = None,
            "File with the certificate chain that this node presents to other nodes, leaf first (PEM).",
            "Needs `cluster.tls_key` and `cluster.tls_ca`.",
            flag: "peer-tls-cert", without: "no TLS", live: true;
        tls_key: Option<PathBuf> = None,
            "File with the private key of `cluster.tls_cert` (PEM).",
            "Only the server should be able to read it.",
            flag: "peer-tls-key", without: "no TLS", live: true;
        tls_ca: Option<PathBuf> = None,
            "File with the CA certificates that verify other nodes (PEM).",
            "Any certificate that they signed is accepted.",
            flag: "peer-tls-ca", without: "no TLS", live: true;
        tls_name: Option<String> = None,
            "Name that the certificates of all nodes contain.",
            "With it, a certificate is valid for any node.",
            flag: "peer-tls-name", metavar: "NAME", without: "the host of each node's address", live: true;
        plaintext: bool = false,
            "Allow unencrypted peer connections on addresses that are not loopback.",
            "Whoever is on the network can read all messages: only for a trusted one.",
            flag: "peers-plaintext";
        admit_go_nodes: bool = false,
            "Accept go-websocket nodes on addresses that are not loopback.",
            "They support neither a secret nor TLS.",
            flag: "admit-go-nodes";
        lease: Duration = library().lease,
            "Duration of the node's lease in the registry.",
            "A node that does not renew it is considered dead, and its clients offline. Costs a renewal every third of it.",
            flag: "lease", library: "lease";
        audit_interval: Duration = library().audit_interval,
            "Time between audits, which compare this node's clients with the registry and repair differences.",
            "Costs the registry about 1.5 µs for each connection.",
            flag: "audit-interval";
        registry_timeout: Duration = library().registry_timeout,
            "The time after which a request to the registry has failed.",
            "What waits for the request fails with it.",
            flag: "registry-timeout";
        max_link_queue: Option<Size<usize>> = None,
            "Maximum number of bytes that wait for one node, and for lookups.",
            "That much memory for each node that reads too slowly; messages beyond it are refused. Must exceed \
             `limits.max_message`.",
            flag: "max-link-queue", library: "link_queue_bytes", without: "8 MiB, or 8 × `limits.max_message` if that is more";
        max_peer_connections: usize = library().peer_connections,
            "Maximum number of connections of other nodes.",
            "Up to 2 MiB for each node that sends faster than this one handles its messages.",
            flag: "max-peer-connections", library: "peer_connections";
        max_peer_handshakes: usize = library().peer_handshakes,
            "Maximum number of connections to the peer port that have not authenticated yet.",
            "A file descriptor each, for three seconds at most.",
            flag: "max-peer-handshakes", library: "peer_handshakes";
        max_routes: usize = library().routes,
            "Maximum number of cached routes to clients of other nodes.",
            "The default costs about 20 MiB. A message without a cached route costs a request to the registry.",
            flag: "max-routes", library: "routes";
    }
}

fn library() -> ClusterConfig {
    ClusterConfig::default()
}

impl ClusterSettings {
    /// The configuration of the links. Reads the files.
    pub(crate) fn config(&self, hub: &Config) -> Result<ClusterConfig, ConfigErrors> {
        Ok(ClusterConfig {
            listen: self.listen,
            advertise: self.advertise.clone(),
            security: self.security()?,
            ..self.bounds(hub)
        })
    }

    /// The same without what is in files, and without where the node listens.
    pub(crate) fn bounds(&self, hub: &Config) -> ClusterConfig {
        ClusterConfig {
            advertise: self.advertise.clone(),
            lease: self.lease,
            audit_interval: self.audit_interval,
            registry_timeout: self.registry_timeout,
            // Room for eight messages of maximum size, as with the defaults.
            link_queue_bytes: self.max_link_queue.map_or_else(
                || {
                    library()
                        .link_queue_bytes
                        .max(hub.message_size.saturating_mul(8))
                },
                |size| size.0,
            ),
            peer_connections: self.max_peer_connections,
            peer_handshakes: self.max_peer_handshakes,
            routes: self.max_routes,
            ..library()
        }
    }

    fn security(&self) -> Result<PeerSecurity, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let secret = errors.take(self.secret());
        let tls = errors.take(self.tls());
        let (Some(secret), Some(tls)) = (secret, tls) else {
            return Err(errors);
        };
        let mut security = PeerSecurity::default();
        security.secret = secret;
        security.tls = tls;
        security.plaintext = self.plaintext;
        security.open_unary = self.admit_go_nodes;
        Ok(security)
    }

    fn secret(&self) -> Result<Option<String>, ConfigErrors> {
        let Some(secret) = &self.secret else {
            return Ok(None);
        };
        // A file may have more lines, which are notes.
        let line = secret.expose().lines().next().unwrap_or_default();
        if line.is_empty() || !line.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigErrors::one(
                "invalid --peer-secret: the secret must be one or more visible ASCII characters",
            ));
        }
        Ok(Some(line.to_owned()))
    }

    /// Reads the certificates between nodes, if there are any, and checks that they can be used.
    pub(crate) fn tls(&self) -> Result<Option<PeerTls>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let (cert, key, authorities) = match (&self.tls_cert, &self.tls_key, &self.tls_ca) {
            (Some(cert), Some(key), Some(authorities)) => (cert, key, authorities),
            (None, None, None) if self.tls_name.is_none() => return Ok(None),
            _ => {
                let text =
                    "TLS between nodes needs --peer-tls-cert, --peer-tls-key and --peer-tls-ca";
                return Err(ConfigErrors::one(text));
            }
        };
        if self.admit_go_nodes {
            errors.add("--admit-go-nodes cannot be used with --peer-tls-cert: go-websocket nodes have no TLS");
        }
        let certificate = errors.take(files::read(cert).context("--peer-tls-cert"));
        let key = errors.take(files::read(key).context("--peer-tls-key"));
        let authorities = errors.take(files::read(authorities).context("--peer-tls-ca"));
        let (Some(certificate), Some(key), Some(authorities)) = (certificate, key, authorities)
        else {
            return Err(errors);
        };
        let tls = PeerTls {
            certificate,
            key,
            authorities,
            name: self.tls_name.clone(),
        };
        if let Err(error) = tls.validate() {
            errors.add_unreadable(format!(
                "{error}; check --peer-tls-cert, --peer-tls-key, --peer-tls-ca and --peer-tls-name"
            ));
        }
        errors.into_result(Some(tls))
    }

    /// The certificates for the registry. Reads their files.
    pub(crate) fn registry_tls(&self) -> Result<RegistryTls, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut read = |path: &Option<PathBuf>, flag: &'static str| {
            let text = path
                .as_deref()
                .map(|path| files::read_text(path).context(flag));
            errors.take(text.transpose()).flatten()
        };
        let authority = read(&self.registry_ca, "--registry-ca");
        let certificate = read(&self.registry_cert, "--registry-cert");
        let key = read(&self.registry_key, "--registry-key");
        if self.registry_cert.is_some() != self.registry_key.is_some() {
            errors.add("--registry-cert and --registry-key need each other");
        }
        errors.into_result(RegistryTls {
            authority,
            client: certificate.zip(key),
        })
    }
}
