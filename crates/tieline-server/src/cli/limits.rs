//! The flags that set limits.
//!
//! Owns the limits of a node and its times, and the names of their flags in errors. Must not check the
//! limits: the library does, for every user of its configuration. Invariant: every limit of the library
//! has a flag.

use std::time::Duration;

use clap::{Args, ValueEnum, builder::BoolishValueParser};
use tieline::{Config, Deflate, Origins, SlowConsumer};

use super::rates::Rates;

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// Maximum size of a message from a client, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().message_size,
        env = "TIELINE_MAX_MESSAGE")]
    max_message: usize,
    /// Maximum number of fragments of a message
    #[arg(long, value_name = "N", default_value_t = Config::default().fragments,
        env = "TIELINE_MAX_FRAGMENTS")]
    max_fragments: u32,
    /// Maximum number of connections [default: 90% of the descriptor limit]
    #[arg(long, value_name = "N", env = "TIELINE_MAX_CONNECTIONS")]
    max_connections: Option<usize>,
    /// Maximum number of groups of a client
    #[arg(long, value_name = "N", default_value_t = Config::default().groups_per_connection,
        env = "TIELINE_MAX_GROUPS")]
    max_groups: usize,
    /// Maximum number of bytes queued for a client
    ///
    /// --slow-consumer says what happens beyond.
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().outbox_bytes,
        env = "TIELINE_MAX_OUTBOX")]
    max_outbox: usize,
    /// Maximum number of bytes queued for all clients together [default: a quarter of the memory]
    ///
    /// Beyond it, the clients for whom most is queued are closed with code 1013. The memory is that of
    /// the control group, such as a container's limit, or of the machine.
    #[arg(long, value_name = "BYTES", env = "TIELINE_MAX_OUTBOX_MEMORY")]
    max_outbox_memory: Option<usize>,
    /// Maximum number of messages queued for a client
    #[arg(long, value_name = "N", default_value_t = Config::default().outbox_frames,
        env = "TIELINE_MAX_OUTBOX_FRAMES")]
    max_outbox_frames: usize,
    /// What happens if a client falls further behind
    #[arg(
        long,
        value_name = "POLICY",
        value_enum,
        default_value = "disconnect",
        env = "TIELINE_SLOW_CONSUMER"
    )]
    slow_consumer: SlowConsumerPolicy,
    /// Maximum number of bytes of messages to many that wait in a shard [default: 16 MiB, or --max-outbox]
    #[arg(long, value_name = "BYTES", env = "TIELINE_MAX_BROADCAST_QUEUE")]
    max_broadcast_queue: Option<usize>,
    /// Maximum number of messages to many that wait in a shard
    #[arg(long, value_name = "N", default_value_t = Config::default().broadcast_queue_frames,
        env = "TIELINE_MAX_BROADCAST_QUEUE_FRAMES")]
    max_broadcast_queue_frames: usize,
    /// Number of shards of the node [default: one per processor]
    #[arg(long, value_name = "N", env = "TIELINE_SHARDS")]
    shards: Option<usize>,
    /// Compress messages for clients that support it (permessage-deflate)
    #[arg(long, env = "TIELINE_COMPRESS", value_parser = BoolishValueParser::new())]
    compress: bool,
    #[command(flatten)]
    rates: Rates,
    #[command(flatten)]
    http: HttpLimits,
    #[command(flatten)]
    times: Times,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
struct HttpLimits {
    /// Maximum size of the head of a request, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().header_size,
        env = "TIELINE_MAX_HEADER")]
    max_header: usize,
    /// Maximum number of header fields of a request
    #[arg(long, value_name = "N", default_value_t = Config::default().header_fields,
        env = "TIELINE_MAX_HEADER_FIELDS")]
    max_header_fields: usize,
    /// Maximum number of connections before the upgrade [default: 5% of the descriptor limit, at least 64]
    ///
    /// If there are more, those that have been silent for longest are closed.
    #[arg(long, value_name = "N", env = "TIELINE_MAX_HANDSHAKES")]
    max_handshakes: Option<usize>,
    /// Maximum number of connections before the upgrade from one address [default: no maximum]
    ///
    /// Do not set it behind a proxy: all clients have the proxy's address.
    #[arg(long, value_name = "N", env = "TIELINE_MAX_HANDSHAKES_PER_ADDRESS")]
    max_handshakes_per_address: Option<usize>,
    /// Seconds from the accept of a connection to a complete request, TLS included
    #[arg(long, value_name = "SECONDS", default_value_t = Config::default().handshake_timeout.as_secs(),
        env = "TIELINE_HANDSHAKE_TIMEOUT")]
    handshake_timeout: u64,
    /// Seconds after which an upgrade is refused that could not be decided
    #[arg(long, value_name = "SECONDS", default_value_t = Config::default().decision_timeout.as_secs(),
        env = "TIELINE_DECISION_TIMEOUT")]
    decision_timeout: u64,
    /// Seconds for which an HTTP connection is kept for another request
    ///
    /// Must be longer than proxies in front of the server keep theirs.
    #[arg(long, value_name = "SECONDS", default_value_t = Config::default().http_idle_timeout.as_secs(),
        env = "TIELINE_HTTP_IDLE_TIMEOUT")]
    http_idle_timeout: u64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Times")]
struct Times {
    /// Seconds that a message may take to arrive
    #[arg(long, value_name = "SECONDS", default_value_t = Config::default().message_timeout.as_secs(),
        env = "TIELINE_MESSAGE_TIMEOUT")]
    message_timeout: u64,
    /// Seconds of silence after which a client is pinged
    #[arg(long, value_name = "SECONDS", default_value_t = Config::default().ping_interval.as_secs(),
        env = "TIELINE_PING_INTERVAL")]
    ping_interval: u64,
    /// Seconds that a client has to answer a ping
    #[arg(long, value_name = "SECONDS", default_value_t = Config::default().ping_timeout.as_secs(),
        env = "TIELINE_PING_TIMEOUT")]
    ping_timeout: u64,
    /// Seconds that a close waits for the client
    #[arg(long, value_name = "SECONDS", default_value_t = Config::default().close_timeout.as_secs(),
        env = "TIELINE_CLOSE_TIMEOUT")]
    close_timeout: u64,
    /// Seconds between SIGTERM and the drain
    ///
    /// In between, clients are still accepted, but GET /readyz returns 503, so that load balancers
    /// stop sending them.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 0,
        env = "TIELINE_DRAIN_DELAY"
    )]
    drain_delay: u64,
    /// Seconds over which a drain spreads the closing of connections
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        env = "TIELINE_DRAIN_WINDOW"
    )]
    drain_window: u64,
    /// Seconds after which a drain stops waiting for clients
    ///
    /// Connections that are still open then end with the process.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 20,
        env = "TIELINE_DRAIN_TIMEOUT"
    )]
    drain_timeout: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SlowConsumerPolicy {
    /// The client is disconnected with code 1013
    Disconnect,
    /// New messages to it are refused
    DropNewest,
    /// The oldest messages that wait for it are discarded
    DropOldest,
}

impl Limits {
    /// The configuration of a node with these limits.
    pub(crate) fn config(&self, origins: Origins) -> Config {
        let default = Config::default();
        let (http, times) = (&self.http, &self.times);
        let broadcast_queue = default.broadcast_queue_bytes.max(self.max_outbox);
        Config {
            message_size: self.max_message,
            fragments: self.max_fragments,
            message_timeout: Duration::from_secs(times.message_timeout),
            header_size: http.max_header,
            header_fields: http.max_header_fields,
            handshake_timeout: Duration::from_secs(http.handshake_timeout),
            decision_timeout: Duration::from_secs(http.decision_timeout),
            http_idle_timeout: Duration::from_secs(http.http_idle_timeout),
            max_handshakes: http.max_handshakes,
            max_handshakes_per_address: http.max_handshakes_per_address,
            outbox_bytes: self.max_outbox,
            max_outbox_memory: self.max_outbox_memory,
            outbox_frames: self.max_outbox_frames,
            slow_consumer: self.slow_consumer.into(),
            broadcast_queue_bytes: self.max_broadcast_queue.unwrap_or(broadcast_queue),
            broadcast_queue_frames: self.max_broadcast_queue_frames,
            ping_interval: Duration::from_secs(times.ping_interval),
            ping_timeout: Duration::from_secs(times.ping_timeout),
            close_timeout: Duration::from_secs(times.close_timeout),
            drain_window: Duration::from_secs(times.drain_window),
            drain_timeout: Duration::from_secs(times.drain_timeout),
            max_connections: self.max_connections,
            groups_per_connection: self.max_groups,
            inbound: self.rates.inbound(),
            origins,
            compression: self.compress.then(Deflate::default),
            shards: self.shards,
            ..default
        }
    }

    /// The time between SIGTERM and the drain.
    pub(super) fn drain_delay(&self) -> Duration {
        Duration::from_secs(self.times.drain_delay)
    }
}

impl From<SlowConsumerPolicy> for SlowConsumer {
    fn from(policy: SlowConsumerPolicy) -> Self {
        match policy {
            SlowConsumerPolicy::Disconnect => Self::Disconnect,
            SlowConsumerPolicy::DropNewest => Self::DropNewest,
            SlowConsumerPolicy::DropOldest => Self::DropOldest,
        }
    }
}

/// Settings whose flags have other names; the flags of all others are named as they are.
const RENAMED: [(&str, &str); 13] = [
    ("inbound.messages", "--max-message-rate"),
    ("inbound.bytes", "--max-byte-rate"),
    ("inbound.burst", "--rate-burst"),
    ("broadcast_queue_frames", "--max-broadcast-queue-frames"),
    ("broadcast_queue_bytes", "--max-broadcast-queue"),
    ("outbox_frames", "--max-outbox-frames"),
    ("outbox_bytes", "--max-outbox"),
    ("message_size", "--max-message"),
    ("fragments", "--max-fragments"),
    ("header_size", "--max-header"),
    ("header_fields", "--max-header-fields"),
    ("groups_per_connection", "--max-groups"),
    ("shards", "--shards"),
];

/// A configuration error, with the names of the flags for those of the settings.
pub(super) fn in_terms_of_flags(error: &str) -> String {
    let words = error.split(' ').map(|word| {
        let name = word.trim_end_matches([':', ',', ';']);
        let flag = match RENAMED.iter().find(|(setting, _)| *setting == name) {
            Some((_, flag)) => (*flag).to_owned(),
            None if name.contains('_') => format!("--{}", name.replace('_', "-")),
            None => return word.to_owned(),
        };
        word.replacen(name, &flag, 1)
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
