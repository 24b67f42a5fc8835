//! The flags of the links between nodes.
//!
//! Owns addresses, secret, TLS and times, and reads the files that the flags name. The result is
//! validated by the library here, so that an insecure configuration fails before anything starts. Must
//! not listen or connect. Invariant: the secret appears in no help text, error or debug form.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{Args, builder::BoolishValueParser};
use tieline::{ClusterConfig, Config, PeerSecurity, PeerTls};

use super::{
    common::{address, read},
    error::{UsageError, cluster_error},
};

#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct PeerFlags {
    /// Address to listen on for other nodes
    ///
    /// Nodes on the same machine need different ports.
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = address,
        default_value = "127.0.0.1:9300",
        requires = "registry",
        env = "TIELINE_PEERS_LISTEN"
    )]
    peers_listen: SocketAddr,
    /// Address at which other nodes reach this one [default: that of --peers-listen]
    ///
    /// If --peers-listen is 0.0.0.0 or [::], the default is the machine's first address. An IPv6 address
    /// needs brackets, as in [fd00::5]:9300.
    #[arg(
        long,
        value_name = "HOST:PORT",
        requires = "registry",
        env = "TIELINE_ADVERTISE"
    )]
    advertise: Option<String>,
    /// Secret that all nodes share
    ///
    /// Prefer the environment variable or --peer-secret-file: other users can read command lines.
    #[arg(
        long,
        value_name = "SECRET",
        requires = "registry",
        conflicts_with = "peer_secret_file",
        env = "TIELINE_PEER_SECRET",
        hide_env_values = true
    )]
    peer_secret: Option<Secret>,
    /// File whose first line is the secret that all nodes share
    #[arg(
        long,
        value_name = "FILE",
        requires = "registry",
        env = "TIELINE_PEER_SECRET_FILE"
    )]
    peer_secret_file: Option<PathBuf>,
    /// Certificate chain that this node presents to other nodes, leaf first (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["registry", "peer_tls_key", "peer_tls_ca"],
        env = "TIELINE_PEER_TLS_CERT")]
    peer_tls_cert: Option<PathBuf>,
    /// Private key of --peer-tls-cert (PEM)
    #[arg(
        long,
        value_name = "FILE",
        requires = "peer_tls_cert",
        env = "TIELINE_PEER_TLS_KEY"
    )]
    peer_tls_key: Option<PathBuf>,
    /// CA certificates that verify other nodes (PEM)
    ///
    /// Any certificate that they signed is accepted.
    #[arg(
        long,
        value_name = "FILE",
        requires = "peer_tls_cert",
        env = "TIELINE_PEER_TLS_CA"
    )]
    peer_tls_ca: Option<PathBuf>,
    /// Name that the certificates of all nodes contain [default: the host of each node's address]
    #[arg(
        long,
        value_name = "NAME",
        requires = "peer_tls_cert",
        env = "TIELINE_PEER_TLS_NAME"
    )]
    peer_tls_name: Option<String>,
    /// Allow unencrypted peer connections on non-loopback addresses
    #[arg(long, requires_if("true", "registry"), env = "TIELINE_PEERS_PLAINTEXT",
        value_parser = BoolishValueParser::new())]
    peers_plaintext: bool,
    /// Accept go-websocket nodes on non-loopback addresses
    ///
    /// They support neither a secret nor TLS.
    #[arg(long, requires_if("true", "registry"), conflicts_with = "peer_tls_cert",
        env = "TIELINE_ADMIT_GO_NODES", value_parser = BoolishValueParser::new())]
    admit_go_nodes: bool,
    /// Lease duration, in seconds
    ///
    /// A node that does not renew its lease is considered dead, and its clients offline.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "registry",
        value_parser = clap::value_parser!(u64).range(1..=86_400), env = "TIELINE_LEASE")]
    lease: u64,
    /// Seconds between audits
    ///
    /// An audit compares this node's clients with the registry, and repairs differences.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "registry",
        value_parser = clap::value_parser!(u64).range(1..=86_400), env = "TIELINE_AUDIT_INTERVAL")]
    audit_interval: u64,
    /// Seconds after which a request to the registry has failed
    #[arg(long, value_name = "SECONDS", default_value_t = 1, requires = "registry",
        value_parser = clap::value_parser!(u64).range(1..=86_400), env = "TIELINE_REGISTRY_TIMEOUT")]
    registry_timeout: u64,
    /// Maximum number of bytes that wait for one node, and for lookups [default: 8 MiB, or 8 × --max-message]
    #[arg(
        long,
        value_name = "BYTES",
        requires = "registry",
        env = "TIELINE_MAX_LINK_QUEUE"
    )]
    max_link_queue: Option<usize>,
    /// Maximum number of connections of other nodes
    #[arg(long, value_name = "N", default_value_t = ClusterConfig::default().peer_connections,
        requires = "registry", env = "TIELINE_MAX_PEER_CONNECTIONS")]
    max_peer_connections: usize,
    /// Maximum number of connections to the peer port that have not authenticated yet
    #[arg(long, value_name = "N", default_value_t = ClusterConfig::default().peer_handshakes,
        requires = "registry", env = "TIELINE_MAX_PEER_HANDSHAKES")]
    max_peer_handshakes: usize,
    /// Maximum number of cached routes to clients of other nodes
    #[arg(long, value_name = "N", default_value_t = ClusterConfig::default().routes, requires = "registry",
        env = "TIELINE_MAX_ROUTES")]
    max_routes: usize,
}

impl PeerFlags {
    /// The configuration of the cluster. Reads the files.
    pub(crate) fn config(&self, hub: &Config) -> anyhow::Result<ClusterConfig> {
        let link_queue = ClusterConfig::default().link_queue_bytes;
        let config = ClusterConfig {
            listen: self.peers_listen,
            advertise: self.advertise.clone(),
            security: self.security()?,
            lease: Duration::from_secs(self.lease),
            audit_interval: Duration::from_secs(self.audit_interval),
            registry_timeout: Duration::from_secs(self.registry_timeout),
            // Room for eight messages of maximum size, as with the defaults.
            link_queue_bytes: self
                .max_link_queue
                .unwrap_or(link_queue.max(hub.message_size.saturating_mul(8))),
            peer_connections: self.max_peer_connections,
            peer_handshakes: self.max_peer_handshakes,
            routes: self.max_routes,
            ..ClusterConfig::default()
        };
        config.validate(hub).map_err(cluster_error)?;
        let safe = config.security.validate(config.listen);
        safe.map_err(|error| cluster_error(error.into()))?;
        Ok(config)
    }

    fn security(&self) -> anyhow::Result<PeerSecurity> {
        let mut security = PeerSecurity::default();
        security.secret = self.secret()?;
        security.tls = self.tls()?;
        security.plaintext = self.peers_plaintext;
        security.open_unary = self.admit_go_nodes;
        Ok(security)
    }

    fn secret(&self) -> anyhow::Result<Option<String>> {
        let (secret, flag) = match (&self.peer_secret, &self.peer_secret_file) {
            (Some(secret), _) => (secret.0.clone(), "--peer-secret"),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file);
                let text = text.with_context(|| format!("cannot read {}", file.display()))?;
                let line = text.lines().next().unwrap_or_default();
                (line.to_owned(), "--peer-secret-file")
            }
            (None, None) => return Ok(None),
        };
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            let text =
                format!("invalid {flag}: the secret must be one or more visible ASCII characters");
            return Err(UsageError(text).into());
        }
        Ok(Some(secret))
    }

    fn tls(&self) -> anyhow::Result<Option<PeerTls>> {
        let files = (&self.peer_tls_cert, &self.peer_tls_key, &self.peer_tls_ca);
        let (Some(cert), Some(key), Some(authorities)) = files else {
            return Ok(None);
        };
        Ok(Some(PeerTls {
            certificate: read(cert)?,
            key: read(key)?,
            authorities: read(authorities)?,
            name: self.peer_tls_name.clone(),
        }))
    }
}

/// The secret that nodes share. Its debug form hides it.
#[derive(Clone)]
struct Secret(String);

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
