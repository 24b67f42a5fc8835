//! The settings of a cluster's node, and what can be wrong with them.

use std::{io, net::SocketAddr, time::Duration};

use tieline_registry::RegistryError;

use crate::{
    Config,
    link::{PeerSecurity, SecurityError},
};

/// How a node takes part in a cluster.
///
/// A plain struct: change what you need and take the rest from [`ClusterConfig::default`].
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Where this node listens for its peers. Default `127.0.0.1:0`, a free port on loopback: right for
    /// several nodes on one machine. A backend does not listen.
    pub listen: SocketAddr,
    /// Where peers reach this node, `host:port`. Default: the address it listens on; if that is all
    /// addresses, this machine's first IPv4 address that is not loopback.
    pub advertise: Option<String>,
    /// How nodes know each other. Default: by nothing, which only loopback allows.
    pub security: PeerSecurity,
    /// How long this node counts as alive without a sign of life. Default 10 s: after a crash its
    /// clients are offline to everyone within this time, and a pause shorter than two thirds of it
    /// costs nothing. A beat, some 20 µs of the registry's time, is sent every third of it.
    pub lease: Duration,
    /// How often this node compares what it holds with the registry, whatever else has caused that.
    /// Default 30 s, right where nodes of go-websocket share the registry, which write over entries
    /// without a word; minutes serve as well where none do, since each beat compares the counts. Costs
    /// the registry about 1.5 µs for each connection, and never more than a twentieth of its time.
    pub audit_interval: Duration,
    /// How long an answer of the registry is waited for. Default 1 s.
    pub registry_timeout: Duration,
    /// Bytes that may wait for one peer; then messages to it are answered
    /// [`QueueFull`](crate::Delivery::QueueFull). Default 8 MiB; more than
    /// [`Config::message_size`](crate::Config::message_size).
    pub link_queue_bytes: usize,
    /// Most routes to clients of other nodes that are remembered. Default 131,072, which cost at most
    /// some 20 MiB. A route that is not remembered costs a question to the registry.
    pub routes: usize,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: None,
            security: PeerSecurity::default(),
            lease: Duration::from_secs(10),
            audit_interval: Duration::from_secs(30),
            registry_timeout: Duration::from_secs(1),
            link_queue_bytes: 8 * 1024 * 1024,
            routes: 131_072,
        }
    }
}

impl ClusterConfig {
    /// Checks the settings against each other and against the hub's; whatever starts a cluster does it
    /// too.
    pub fn validate(&self, hub: &Config) -> Result<(), ClusterError> {
        if let Some(address) = &self.advertise {
            super::advertise::check(address)?;
        }
        let times = [
            ("lease", self.lease, Duration::from_millis(300)),
            (
                "audit_interval",
                self.audit_interval,
                Duration::from_millis(100),
            ),
            (
                "registry_timeout",
                self.registry_timeout,
                Duration::from_millis(10),
            ),
        ];
        let most = Duration::from_hours(24);
        let times = times.into_iter();
        let mut wrong = times.filter(|(_, time, least)| !(*least..=most).contains(time));
        if let Some((name, _, least)) = wrong.next() {
            return Err(ClusterError::Time { name, least });
        }
        if self.link_queue_bytes <= hub.message_size {
            return Err(ClusterError::Queue);
        }
        Ok(())
    }
}

/// A node that could not take part in a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The registry cannot be reached or used.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The peer port may not be opened so.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The peer port cannot be listened on.
    #[error("cannot listen for peers on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The advertised address is none that peers could dial.
    #[error("peers cannot dial {0:?}: advertise host:port, as in 10.0.0.1:9300")]
    Address(String),
    /// No address to advertise was found.
    #[error("this machine has no address that peers could dial: advertise one by name")]
    NoAddress,
    /// A time is out of bounds.
    #[error("{name} must be between {least:?} and a day")]
    Time {
        /// The setting.
        name: &'static str,
        /// Its lower bound.
        least: Duration,
    },
    /// A message would not fit a link.
    #[error("link_queue_bytes must be above message_size: raise it, or lower the other")]
    Queue,
    /// The hub has connections, or is part of a cluster already.
    #[error("the hub is in use: start the cluster before its first connection, and once")]
    HubInUse,
}
