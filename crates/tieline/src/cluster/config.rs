//! The settings of a node within a cluster, and the errors of its start.
//!
//! Owns the defaults and bounds, each with its cost. Must not know how a setting takes effect.

use std::{io, net::SocketAddr, time::Duration};

use tieline_registry::RegistryError;

use super::advertise;
use crate::{
    config::Config,
    link::{PeerSecurity, SecurityError},
};

/// The settings of a node within a cluster.
///
/// A plain struct: set what you need and take the rest from [`ClusterConfig::default`].
///
/// ```
/// use std::time::Duration;
/// use tieline::{ClusterConfig, Config};
///
/// let config = ClusterConfig {
///     listen: "0.0.0.0:9300".parse()?,
///     advertise: Some("10.0.0.1:9300".into()),
///     lease: Duration::from_secs(5),
///     ..ClusterConfig::default()
/// };
/// config.validate(&Config::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// The address on which this node listens for its peers. Default `127.0.0.1:0`, a free port on
    /// loopback, for several nodes on one machine. A backend does not listen.
    pub listen: SocketAddr,
    /// The address at which peers reach this node, `host:port`; an IPv6 address in brackets, as in
    /// `[fd00::5]:9300`. Default: the address it listens on; if it listens on all addresses, this machine's
    /// first IPv4 address that is not loopback, and with `[::]` on a machine without one the first IPv6
    /// address that is neither loopback nor link-local.
    pub advertise: Option<String>,
    /// How nodes authenticate each other. Default: not at all, which is allowed on loopback only.
    pub security: PeerSecurity,
    /// The duration of this node's lease in the registry: a node that does not renew it is dead. Default
    /// 10 s, 300 ms to a day. After a crash, its clients are offline to everyone within this time; a
    /// pause shorter than two thirds of it has no effect. Costs a renewal every third of it, about 20 µs
    /// of the registry's time.
    pub lease: Duration,
    /// How often this node compares its entries in the registry with its connections even if nothing
    /// indicates a difference. Default 30 s, 100 ms to a day. Keep the default while nodes of
    /// go-websocket share the registry, since they overwrite entries without notice. Ten times as
    /// long where the registry counts entries and no other program has ever written any, since each
    /// renewal compares the counts. Costs the registry about 1.5 µs for each
    /// connection, and at most a twentieth of its time.
    pub audit_interval: Duration,
    /// Timeout of a registry request. Default 1 s, 10 ms to a day.
    pub registry_timeout: Duration,
    /// How long an upgrade waits for the registry to grant its client id. Default 250 ms, 10 ms to a day.
    /// After that the client is let in without a verdict, and closed with code 4409 if a late one says that
    /// a newer connection has the id; with [`Duplicate::Reject`](crate::Duplicate) it is refused with 503.
    /// A slow registry delays each upgrade by as much, and the messages that wait for the client.
    pub claim_timeout: Duration,
    /// Bytes that may wait for one peer, and for lookups and earlier messages; messages beyond are answered
    /// [`QueueFull`](crate::Delivery::QueueFull). Default 8 MiB; must exceed
    /// [`Config::message_size`](crate::Config::message_size). Costs that much memory for each peer that
    /// reads too slowly.
    pub link_queue_bytes: usize,
    /// Connections of peers that this node accepts at once. Default 1,024, at least 1. Each other node and
    /// each backend has one, or two for a moment when it dials again. What comes beyond is refused. Costs
    /// up to 2 MiB for each peer that sends faster than this node handles its messages.
    pub peer_connections: usize,
    /// Further connections to the peer port, which have not shown yet that they belong to a peer. Default
    /// 128, at least 1. Each is closed after three seconds, or as soon as it is the oldest and a new one
    /// finds no place, so that strangers do not keep peers out. Costs a descriptor each.
    pub peer_handshakes: usize,
    /// Routes to clients of other nodes that are cached, at most. Default 131,072, which cost about
    /// 20 MiB. A message whose route is not cached costs a request to the registry. With 0, at most 32
    /// are cached, so nearly every message costs that request.
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
            claim_timeout: Duration::from_millis(250),
            link_queue_bytes: 8 * 1024 * 1024,
            peer_connections: 1024,
            peer_handshakes: 128,
            routes: 131_072,
        }
    }
}

impl ClusterConfig {
    /// Checks the bounds of the settings, and [`link_queue_bytes`](Self::link_queue_bytes) against the
    /// hub's configuration. [`Cluster::start`](crate::Cluster::start) and
    /// [`Cluster::connect`](crate::Cluster::connect) call it.
    ///
    /// # Errors
    /// [`ClusterError::Address`], [`ClusterError::Time`], [`ClusterError::Places`] or
    /// [`ClusterError::Queue`]. [`problems`](Self::problems) has all of them.
    pub fn validate(&self, hub: &Config) -> Result<(), ClusterError> {
        self.problems(hub).into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that [`validate`](Self::validate) would report, one after the other.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tieline::{ClusterConfig, ClusterError, Config};
    ///
    /// let config = ClusterConfig { lease: Duration::ZERO, link_queue_bytes: 1, ..ClusterConfig::default() };
    /// let problems = config.problems(&Config::default());
    /// assert!(matches!(problems[0], ClusterError::Time { name: "lease", .. }));
    /// assert!(matches!(problems[1], ClusterError::Queue));
    /// ```
    pub fn problems(&self, hub: &Config) -> Vec<ClusterError> {
        let mut problems = Vec::new();
        if let Some(address) = &self.advertise
            && !advertise::is_valid(address)
        {
            problems.push(ClusterError::Address {
                address: address.clone(),
                instead: advertise::with_brackets(address),
            });
        }
        let millis = Duration::from_millis;
        let times = [
            ("lease", self.lease, millis(300)),
            ("audit_interval", self.audit_interval, millis(100)),
            ("registry_timeout", self.registry_timeout, millis(10)),
            ("claim_timeout", self.claim_timeout, millis(10)),
        ];
        let max = Duration::from_hours(24);
        let wrong = times
            .into_iter()
            .filter(|(_, time, min)| !(*min..=max).contains(time));
        problems.extend(wrong.map(|(name, _, min)| ClusterError::Time { name, min }));
        let places = [
            ("peer_connections", self.peer_connections),
            ("peer_handshakes", self.peer_handshakes),
        ];
        let none = places.into_iter().filter(|(_, places)| *places == 0);
        problems.extend(none.map(|(name, _)| ClusterError::Places { name }));
        if self.link_queue_bytes <= hub.message_size {
            problems.push(ClusterError::Queue);
        }
        problems
    }
}

/// Why a node could not join a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The registry cannot be reached or used.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The peer port would be open without authentication or encryption.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The peer port cannot be opened.
    #[error("cannot listen for peers on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// Peers cannot dial the advertised address.
    #[error(
        "peers cannot dial {address:?}: advertise {}",
        instead.as_deref().unwrap_or("host:port, as in 10.0.0.1:9300 or [fd00::5]:9300")
    )]
    Address {
        /// The address.
        address: String,
        /// What was probably meant: an IPv6 address stands in brackets before its port.
        instead: Option<String>,
    },
    /// The machine has no address to advertise.
    #[error("no address found that peers can reach; set `advertise`")]
    NoAddress,
    /// A time is out of bounds.
    #[error("{name} must be between {min:?} and one day")]
    Time {
        /// The name of the setting.
        name: &'static str,
        /// Its lower bound.
        min: Duration,
    },
    /// The peer port could not accept a single peer.
    #[error("{name} must be at least 1")]
    Places {
        /// The name of the setting.
        name: &'static str,
    },
    /// A message of the largest size would not fit the queue of a link.
    #[error("link_queue_bytes must exceed message_size: raise the first or lower the second")]
    Queue,
    /// Another cluster in the registry has keys that this one would take for its own.
    #[error(
        "the cluster {cluster:?} overlaps with {other:?} in the registry, so that each would reach the \
         other's clients: choose a prefix that does not begin as the other one does"
    )]
    Overlap {
        /// The name of this node's cluster: its prefix.
        cluster: String,
        /// The name of the other one, which has live nodes.
        other: String,
    },
    /// The hub has connections, or belongs to a cluster.
    #[error("the hub is in use: start its cluster once, before its first connection")]
    HubInUse,
}
