//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use tieline::{ClusterConfig, Config, Deflate, Duplicate, Origins, SlowConsumer};

/// A WebSocket server for load and fault tests.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Address to listen on; port 0 picks a free port and prints it.
    #[arg(long, default_value = "127.0.0.1:9201")]
    pub(crate) listen: String,
    /// Number of threads; with 1, everything runs on one thread.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: u16,
    /// Maximum size of a message, in bytes.
    #[arg(long, default_value_t = Config::default().message_size)]
    message_limit: usize,
    /// Maximum number of fragments of a message.
    #[arg(long, default_value_t = Config::default().fragments)]
    fragments: u32,
    /// Maximum number of bytes that wait for a client.
    #[arg(long, default_value_t = Config::default().outbox_bytes)]
    outbox_bytes: usize,
    /// Maximum number of frames that wait for a client.
    #[arg(long, default_value_t = Config::default().outbox_frames)]
    outbox_frames: usize,
    /// Policy for a client that reads too slowly.
    #[arg(long, value_enum, default_value = "disconnect")]
    slow_consumer: Policy,
    /// Refuse a client whose id is already connected, instead of replacing the older connection.
    #[arg(long)]
    reject_duplicates: bool,
    /// Compress for clients that offer compression.
    #[arg(long)]
    deflate: bool,
    /// Send a ping after this much silence, in milliseconds.
    #[arg(long, default_value_t = 25_000)]
    ping_interval: u64,
    /// Close the connection after this much silence following a ping, in milliseconds.
    #[arg(long, default_value_t = 20_000)]
    ping_timeout: u64,
    /// Timeout of a close handshake, in milliseconds.
    #[arg(long, default_value_t = 5_000)]
    close_timeout: u64,
    /// Time over which a drain spreads its closes, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    drain_window: u64,
    /// Maximum number of connections.
    #[arg(long)]
    max_connections: Option<usize>,
    /// Certificate chain (PEM); with --key, serve TLS.
    #[arg(long, requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Private key of the certificate (PEM).
    #[arg(long, requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// URL of the cluster's registry, such as `redis://127.0.0.1:6379` or `etcd://127.0.0.1:2379`; default: none (single node).
    #[arg(long)]
    pub(crate) registry: Option<String>,
    /// Name of the cluster in the registry.
    #[arg(long, default_value = "tieline")]
    pub(crate) prefix: String,
    /// Address to listen on for other nodes.
    #[arg(long, default_value = "127.0.0.1:0")]
    peers_listen: SocketAddr,
    /// Address at which other nodes reach this one; default: the address of --peers-listen.
    #[arg(long)]
    advertise: Option<String>,
    /// Lease duration, in milliseconds; a node that does not renew it is dead.
    #[arg(long, default_value_t = 10_000)]
    lease: u64,
    /// How often to compare entries with the registry, in milliseconds.
    #[arg(long, default_value_t = 30_000)]
    audit_interval: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Policy {
    Disconnect,
    DropNewest,
    DropOldest,
}

impl Options {
    pub(crate) fn config(&self) -> Config {
        let drain_window = Duration::from_millis(self.drain_window);
        let close_timeout = Duration::from_millis(self.close_timeout);
        Config {
            message_size: self.message_limit,
            fragments: self.fragments,
            outbox_bytes: self.outbox_bytes.max(self.message_limit + 1),
            broadcast_queue_bytes: Config::default()
                .broadcast_queue_bytes
                .max(self.message_limit + 1),
            outbox_frames: self.outbox_frames,
            slow_consumer: match self.slow_consumer {
                Policy::Disconnect => SlowConsumer::Disconnect,
                Policy::DropNewest => SlowConsumer::DropNewest,
                Policy::DropOldest => SlowConsumer::DropOldest,
            },
            duplicate: if self.reject_duplicates {
                Duplicate::Reject
            } else {
                Duplicate::Replace
            },
            compression: self.deflate.then(Deflate::default),
            ping_interval: Duration::from_millis(self.ping_interval),
            ping_timeout: Duration::from_millis(self.ping_timeout),
            close_timeout,
            drain_window,
            drain_timeout: drain_window + 2 * close_timeout,
            max_connections: self.max_connections,
            shards: Some(self.threads.into()),
            origins: Origins::SameHost,
            ..Config::default()
        }
    }

    pub(crate) fn cluster(&self) -> ClusterConfig {
        let default = ClusterConfig::default();
        ClusterConfig {
            listen: self.peers_listen,
            advertise: self.advertise.clone(),
            lease: Duration::from_millis(self.lease),
            audit_interval: Duration::from_millis(self.audit_interval),
            link_queue_bytes: default.link_queue_bytes.max(self.message_limit + 1),
            ..default
        }
    }
}
