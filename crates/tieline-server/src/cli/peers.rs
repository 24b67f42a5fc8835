//! How nodes reach and know each other: the flags, and a cluster's errors in their words.
//!
//! The peers' secret appears in no text.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{Args, builder::BoolishValueParser};
use tieline::{ClusterConfig, ClusterError, Config, PeerSecurity, PeerTls, SecurityError};

use crate::Usage;

/// What may be done about a peer port that strangers reach.
const SAFE_WAYS: &str = "give --peer-tls-cert, --peer-tls-key and --peer-tls-ca, let --peers-listen be on \
                         loopback, or say --peers-plaintext where the network keeps strangers out";

/// How nodes reach and know each other.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct PeerFlags {
    /// Address to listen on for the other nodes; nodes on one machine need a port each
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = super::address,
        default_value = "127.0.0.1:9300",
        requires = "registry",
        env = "TIELINE_PEERS_LISTEN"
    )]
    peers_listen: SocketAddr,
    /// Where the other nodes reach this one [default: --peers-listen; for 0.0.0.0 the machine's first
    /// address]
    #[arg(
        long,
        value_name = "HOST:PORT",
        requires = "registry",
        env = "TIELINE_ADVERTISE"
    )]
    advertise: Option<String>,
    /// Secret that all nodes share; use the variable or a file, as others can read command lines
    #[arg(
        long,
        value_name = "SECRET",
        requires = "registry",
        conflicts_with = "peer_secret_file",
        env = "TIELINE_PEER_SECRET",
        hide_env_values = true
    )]
    peer_secret: Option<Secret>,
    /// File whose first line is the secret
    #[arg(
        long,
        value_name = "FILE",
        requires = "registry",
        env = "TIELINE_PEER_SECRET_FILE"
    )]
    peer_secret_file: Option<PathBuf>,
    /// Certificate chain that this node shows to the others, leaf first (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["registry", "peer_tls_key", "peer_tls_ca"],
        env = "TIELINE_PEER_TLS_CERT")]
    peer_tls_cert: Option<PathBuf>,
    /// Private key of that certificate (PEM)
    #[arg(
        long,
        value_name = "FILE",
        requires = "peer_tls_cert",
        env = "TIELINE_PEER_TLS_KEY"
    )]
    peer_tls_key: Option<PathBuf>,
    /// Authorities that sign the nodes' certificates (PEM); whatever else they sign is let in too
    #[arg(
        long,
        value_name = "FILE",
        requires = "peer_tls_cert",
        env = "TIELINE_PEER_TLS_CA"
    )]
    peer_tls_ca: Option<PathBuf>,
    /// Name that all nodes' certificates bear [default: the host under which a node is dialled]
    #[arg(
        long,
        value_name = "NAME",
        requires = "peer_tls_cert",
        env = "TIELINE_PEER_TLS_NAME"
    )]
    peer_tls_name: Option<String>,
    /// Let nodes meet without TLS also where --peers-listen is not loopback
    #[arg(long, requires_if("true", "registry"), env = "TIELINE_PEERS_PLAINTEXT",
        value_parser = BoolishValueParser::new())]
    peers_plaintext: bool,
    /// Answer nodes of go-websocket, which know no secret and no TLS, also where --peers-listen is not
    /// loopback
    #[arg(long, requires_if("true", "registry"), conflicts_with = "peer_tls_cert",
        env = "TIELINE_ADMIT_GO_NODES", value_parser = BoolishValueParser::new())]
    admit_go_nodes: bool,
    /// Seconds after which a node that gives no sign of life counts as dead, and its clients as offline
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "registry",
        value_parser = clap::value_parser!(u64).range(1..=86_400), env = "TIELINE_LEASE")]
    lease: u64,
    /// Seconds between comparisons of this node's clients with the registry
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "registry",
        value_parser = clap::value_parser!(u64).range(1..=86_400), env = "TIELINE_AUDIT_INTERVAL")]
    audit_interval: u64,
}

impl PeerFlags {
    /// The node's part in the cluster; reads the files.
    pub(crate) fn config(&self, hub: &Config) -> anyhow::Result<ClusterConfig> {
        let default = ClusterConfig::default();
        let config = ClusterConfig {
            listen: self.peers_listen,
            advertise: self.advertise.clone(),
            security: self.security()?,
            lease: Duration::from_secs(self.lease),
            audit_interval: Duration::from_secs(self.audit_interval),
            // As many of the longest messages as may wait by default.
            link_queue_bytes: default
                .link_queue_bytes
                .max(hub.message_size.saturating_mul(8)),
            ..default
        };
        config.validate(hub).map_err(in_flags)?;
        let safe = config.security.validate(config.listen);
        safe.map_err(|error| in_flags(error.into()))?;
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
                format!("the secret of {flag} must be visible ASCII characters, at least one");
            return Err(Usage(text).into());
        }
        Ok(Some(secret))
    }

    fn tls(&self) -> anyhow::Result<Option<PeerTls>> {
        let files = (&self.peer_tls_cert, &self.peer_tls_key, &self.peer_tls_ca);
        let (Some(cert), Some(key), Some(authorities)) = files else {
            return Ok(None);
        };
        Ok(Some(PeerTls {
            certificate: super::read(cert)?,
            key: super::read(key)?,
            authorities: super::read(authorities)?,
            name: self.peer_tls_name.clone(),
        }))
    }
}

/// A cluster's error in the words of the command line.
pub(crate) fn in_flags(error: ClusterError) -> anyhow::Error {
    match error {
        ClusterError::Listen(address, why) => anyhow::Error::new(why).context(format!(
            "cannot listen for other nodes on {address}; choose another with --peers-listen"
        )),
        ClusterError::Security(SecurityError::Open(port)) => Usage(format!(
            "the peer port {port} would let anybody in: {SAFE_WAYS}"
        ))
        .into(),
        ClusterError::Security(SecurityError::ReadableSecret(port)) => {
            let what = "the peers' secret would be readable on its way to";
            Usage(format!("{what} {port}: {SAFE_WAYS}")).into()
        }
        ClusterError::Security(error @ SecurityError::Tls { .. }) => anyhow::Error::new(error)
            .context("see --peer-tls-cert, --peer-tls-key, --peer-tls-ca and --peer-tls-name"),
        ClusterError::Address(address) => Usage(format!(
            "other nodes cannot dial --advertise {address:?}; write HOST:PORT, as in 10.0.0.1:9300"
        ))
        .into(),
        ClusterError::NoAddress => anyhow::anyhow!(
            "this machine has no address that other nodes could dial; name one with --advertise"
        ),
        error => error.into(),
    }
}

/// The peers' secret.
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
