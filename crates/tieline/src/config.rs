//! Every limit and every policy, with its default and what it costs.
//!
//! Owns [`Config`] and its validation. Must not read files or the environment; the server does that.
//! Invariant: sums of times do not overflow, as each is a day at most.

use std::time::Duration;

use tieline_websocket::{Deflate, Limits};

use crate::inbound::Inbound;

/// The configuration of a hub, its connections and its listener.
///
/// A plain struct: set what you need and take the rest from [`Config::default`]. Times are above zero and
/// at most a day; only `drain_window` may be zero.
///
/// ```
/// use tieline::{Config, Duplicate, Origins, SlowConsumer};
///
/// let config = Config {
///     message_size: 64 * 1024,
///     slow_consumer: SlowConsumer::DropOldest,
///     duplicate: Duplicate::Reject,
///     origins: Origins::List(vec!["https://example.org".into()]),
///     ..Config::default()
/// };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// The longest message that a client may send, in bytes after decompression; a longer one closes the
    /// connection with code 1009. Default 1 MiB. While a message is incomplete, the connection holds what has
    /// arrived of it, at most this much. Does not apply to connections that
    /// [stream](crate::Accept::streaming), nor do `fragments`.
    pub message_size: usize,
    /// Maximum number of fragments of a message; more close the connection with code 1009. Default 4,096.
    pub fragments: u32,
    /// How long a message may stay incomplete; then the connection closes with code 1008. Default 30 s. On
    /// connections that [stream](crate::Accept::streaming): the longest time between two pieces of a message, without that
    /// for which the handler has one. Also the longest time that the application may take for the next piece of a message
    /// that it sends in pieces ([`Connection::stream_text`](crate::Connection::stream_text)); then, code 1011.
    pub message_timeout: Duration,
    /// The longest header block of an upgrade request, in bytes, at least 8 KiB; a longer one gets status 431.
    /// Default 16 KiB, held only until the upgrade.
    pub header_size: usize,
    /// Maximum number of header fields of an upgrade request; more get status 431. Default 100.
    pub header_fields: usize,
    /// The longest time from the accept of the TCP connection to a complete request head, including TLS;
    /// then the connection is closed. So is one whose client does not read a response for as long. Default
    /// 5 s. A later request on the same connection has as long from its first byte.
    pub handshake_timeout: Duration,
    /// How long the application may take to decide about an upgrade; then the response is 503. Default 15
    /// s. With an axum router the decision is not interrupted, but a late one gets status 503.
    pub decision_timeout: Duration,
    /// How long an HTTP connection is kept for another request. Default 75 s, above the 60 s for which common
    /// proxies keep theirs: of the two sides, the proxy must close first, or a request that it has just sent
    /// fails. Costs a descriptor and hyper's buffers for that long, unless others need the place
    /// ([`Config::max_handshakes`]).
    pub http_idle_timeout: Duration,
    /// Maximum number of TCP connections that are not upgraded yet, plain HTTP requests included. If there
    /// are as many, the next one takes the place of the one that has waited longest for its client, for two
    /// seconds at least: silent, with half a request, or idle between requests. If all are busy with requests,
    /// it waits. A quarter as many clients at a time are told [after the upgrade](crate::Refusal::after_upgrade) that they
    /// are refused. Default `None`: a twentieth of the process's descriptor limit, at least 64, so that
    /// idle handshakes cannot exhaust descriptors.
    pub max_handshakes: Option<usize>,
    /// Maximum number of these connections from one IP address, or from one /64 network of IPv6; further ones
    /// are closed at once. Default `None`: no such limit, because all clients behind a proxy share its
    /// address, unless it [announces them](crate::Proxies::proxy_protocol).
    pub max_handshakes_per_address: Option<usize>,
    /// Maximum number of bytes that wait for one client; beyond it [`Config::slow_consumer`] applies. Default 4
    /// MiB. One frame always fits an empty outbox. A frame for many receivers is held in memory once. While half
    /// of it is in use, the client is not read from. Over TLS, a burst may take twice as much until the
    /// connection's task has tried the socket.
    pub outbox_bytes: usize,
    /// Maximum number of frames that wait for one client. Default 4,096 (8 bytes each, besides the frame itself).
    pub outbox_frames: usize,
    /// Maximum number of bytes that wait for all clients of the node together; beyond it the clients for
    /// whom most waits are closed with code 1013, until an eighth is free; those to whom a frame of more than
    /// 64 KiB is on its way, without a close frame. Default `None`: a quarter of the memory that the process's
    /// control group or the machine has. Only what a client's socket did not take counts, each frame once, in
    /// however many outboxes it waits, with 128 bytes besides its payload. What the kernel holds for sockets
    /// comes on top of it.
    pub max_outbox_memory: Option<usize>,
    /// The policy for a client whose outbox is full. Default: disconnect it.
    pub slow_consumer: SlowConsumer,
    /// Maximum number of bytes of broadcasts that wait in one shard; those beyond it fail with `queue_full`.
    /// Default 16 MiB. Counts payloads, and 8 bytes for each client that a broadcast leaves out.
    pub broadcast_queue_bytes: usize,
    /// Maximum number of broadcasts that wait in one shard; those beyond it fail with `queue_full`. Default 65,536
    /// (about 250 bytes each, besides the payload). Clients that leave while broadcasts wait for them are
    /// remembered up to this number, beside as many as there are connections.
    pub broadcast_queue_frames: usize,
    /// How long a client may be silent before it is pinged. Default 25 s, below the 30 to 60 s after which
    /// common proxies drop an idle connection.
    pub ping_interval: Duration,
    /// How long a client may take to respond to a ping before it counts as dead. Default 20 s. Bytes that leave
    /// for it after its socket had refused some count as a response.
    pub ping_timeout: Duration,
    /// How long a close waits for a running callback, for queued frames to leave and for the client's close
    /// frame. Default 5 s.
    pub close_timeout: Duration,
    /// The time over which a drain spreads its closes, so that clients do not all reconnect at once. Default
    /// 10 s.
    pub drain_window: Duration,
    /// How long a drain may take in total; the tasks that remain are counted in
    /// [`Drained::remaining`](crate::Drained::remaining). At least `drain_window` plus `close_timeout`. Default
    /// 20 s: together with the 5 s that HTTP requests in progress may take, it fits the 30 s that orchestrators
    /// commonly grant.
    pub drain_timeout: Duration,
    /// Maximum number of connections of this node, in all namespaces; further upgrades get status 503. Default `None`:
    /// nine tenths of the process's descriptor limit.
    pub max_connections: Option<usize>,
    /// Maximum number of groups of a connection; further joins fail. Default 128. Each group costs about 100 bytes and
    /// its name, which is at most 1,024 bytes long.
    pub groups_per_connection: usize,
    /// Maximum number of requests that the handler answers at once
    /// ([`Handler::on_request`](crate::Handler::on_request) and `on_node_request`); further ones fail with
    /// [`AskError::Busy`](crate::AskError::Busy). Default 1,024. Each costs a task, its request and its reply. With 0,
    /// none is answered.
    pub max_requests: usize,
    /// The policy for a client id that is already connected. Default: the newer connection wins.
    pub duplicate: Duplicate,
    /// Which web pages may connect. Default: those of the same host. Clients that send no `Origin` always may.
    pub origins: Origins,
    /// How much each client may send, in messages and bytes per second, and what happens beyond that. Default: no
    /// limit.
    pub inbound: Inbound,
    /// permessage-deflate for clients that offer it (RFC 7692). Default `None`: compression costs about
    /// twenty times the CPU of sending a small message. A message to many clients is compressed once.
    pub compression: Option<Deflate>,
    /// The number of independent parts of the hub, at most 65,535, each with its own lock, broadcast queue and
    /// two tasks. Default `None`: one per processor.
    pub shards: Option<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            message_size: 1024 * 1024,
            fragments: 4096,
            message_timeout: Duration::from_secs(30),
            header_size: 16 * 1024,
            header_fields: 100,
            handshake_timeout: Duration::from_secs(5),
            decision_timeout: Duration::from_secs(15),
            http_idle_timeout: Duration::from_secs(75),
            max_handshakes: None,
            max_handshakes_per_address: None,
            outbox_bytes: 4 * 1024 * 1024,
            outbox_frames: 4096,
            max_outbox_memory: None,
            slow_consumer: SlowConsumer::Disconnect,
            broadcast_queue_bytes: 16 * 1024 * 1024,
            broadcast_queue_frames: 65_536,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(5),
            drain_window: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(20),
            max_connections: None,
            groups_per_connection: 128,
            max_requests: 1024,
            duplicate: Duplicate::Replace,
            origins: Origins::SameHost,
            inbound: Inbound::default(),
            compression: None,
            shards: None,
        }
    }
}

/// The policy for a client id that is already connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Duplicate {
    /// The newer connection wins; the older one is closed with code 4409.
    Replace,
    /// The newer connection is refused with status 409 before the upgrade.
    Reject,
}

/// The policy for a client whose outbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// The client is disconnected with code 1013, and what waits for it is discarded.
    Disconnect,
    /// The new frame is refused: its sender gets [`Delivery::Refused`](crate::Delivery::Refused).
    DropNewest,
    /// The oldest waiting frames are discarded, although their senders got
    /// [`Delivery::Delivered`](crate::Delivery::Delivered).
    DropOldest,
}

/// Which web pages may connect, by the `Origin` header that browsers send (RFC 6455, 10.2).
///
/// ```
/// use tieline::{Config, Origins};
///
/// let config = Config {
///     origins: Origins::List(vec!["https://example.org".into()]),
///     ..Config::default()
/// };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origins {
    /// Pages whose host and port equal the `Host` header of the request.
    SameHost,
    /// Pages of these origins, such as `https://example.org`.
    List(Vec<String>),
    /// All pages. Only for servers that hold nothing that a malicious page could misuse.
    Any,
}

impl Config {
    /// Checks each setting, and the settings against each other. [`Hub::new`](crate::Hub::new) calls it.
    ///
    /// # Errors
    /// If a setting is out of its bounds; the error names it. [`problems`](Self::problems) has all of them.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that is wrong, so that whoever sets it can mend it at once.
    ///
    /// ```
    /// use tieline::{Config, ConfigError};
    ///
    /// let config = Config { max_handshakes: Some(0), outbox_bytes: 1, ..Config::default() };
    /// let problems = config.problems();
    /// assert_eq!(problems[0], ConfigError::Zero("max_handshakes"));
    /// assert_eq!(problems[1].to_string(), "outbox_bytes is too small for message_size: raise it, or lower the other");
    /// ```
    pub fn problems(&self) -> Vec<ConfigError> {
        let above_zero = [
            ("message_size", self.message_size),
            ("fragments", self.fragments as usize),
            ("header_fields", self.header_fields),
            ("outbox_frames", self.outbox_frames),
            ("broadcast_queue_frames", self.broadcast_queue_frames),
            ("max_connections", self.max_connections.unwrap_or(1)),
            ("max_handshakes", self.max_handshakes.unwrap_or(1)),
            (
                "max_handshakes_per_address",
                self.max_handshakes_per_address.unwrap_or(1),
            ),
            ("shards", self.shards.unwrap_or(1)),
            (
                "inbound.messages",
                self.inbound.messages.unwrap_or(1) as usize,
            ),
            ("inbound.bytes", self.inbound.bytes.unwrap_or(1) as usize),
        ];
        let zero = above_zero.into_iter().filter(|(_, value)| *value == 0);
        let mut problems: Vec<_> = zero.map(|(name, _)| ConfigError::Zero(name)).collect();
        self.add_times(&mut problems);
        self.add_sizes(&mut problems);
        problems
    }

    fn add_times(&self, problems: &mut Vec<ConfigError>) {
        let times = [
            ("message_timeout", self.message_timeout),
            ("handshake_timeout", self.handshake_timeout),
            ("decision_timeout", self.decision_timeout),
            ("http_idle_timeout", self.http_idle_timeout),
            ("ping_interval", self.ping_interval),
            ("ping_timeout", self.ping_timeout),
            ("close_timeout", self.close_timeout),
            ("drain_timeout", self.drain_timeout),
            ("inbound.burst", self.inbound.burst),
        ];
        let zero = times.into_iter().filter(|(_, time)| time.is_zero());
        problems.extend(zero.map(|(name, _)| ConfigError::Zero(name)));
        let times = times
            .into_iter()
            .chain([("drain_window", self.drain_window)]);
        let long = times.filter(|(_, time)| *time > MAX_TIME);
        problems.extend(long.map(|(name, _)| ConfigError::TooLong(name)));
    }

    fn add_sizes(&self, problems: &mut Vec<ConfigError>) {
        let ordered = [
            ("header_size", self.header_size, "8 KiB", 8 * 1024 - 1),
            (
                "outbox_bytes",
                self.outbox_bytes,
                "message_size",
                self.message_size,
            ),
            (
                "broadcast_queue_bytes",
                self.broadcast_queue_bytes,
                "message_size",
                self.message_size,
            ),
            (
                "max_outbox_memory",
                self.max_outbox_memory.unwrap_or(usize::MAX),
                "outbox_bytes",
                self.outbox_bytes.saturating_sub(1),
            ),
        ];
        let mut too_small = |name, bound| problems.push(ConfigError::TooSmall { name, bound });
        for (name, value, bound, largest_too_small) in ordered {
            if value <= largest_too_small {
                too_small(name, bound);
            }
        }
        if self.drain_timeout < self.drain_window.saturating_add(self.close_timeout) {
            too_small("drain_timeout", "drain_window + close_timeout");
        }
        if !self.inbound.admits(self.message_size, self.message_timeout) {
            let bound = "message_size to arrive within message_timeout";
            too_small("inbound.bytes", bound);
        }
        if let Some(deflate) = self.compression
            && !(1..=9).contains(&deflate.level)
        {
            problems.push(ConfigError::Level(deflate.level));
        }
    }

    /// Maximum number of connections. A tenth of the descriptors remains for listeners, handshakes and the
    /// application.
    pub(crate) fn capacity(&self) -> usize {
        self.max_connections
            .unwrap_or_else(|| descriptors() / 10 * 9)
    }

    /// Maximum number of connections before the upgrade.
    pub(crate) fn handshakes(&self) -> usize {
        self.max_handshakes
            .unwrap_or_else(|| (descriptors() / 20).max(64))
    }

    /// Maximum number of clients that are being told after the upgrade that they are refused. Each is a descriptor, and
    /// those of connections and handshakes leave little.
    pub(crate) fn farewells(&self) -> usize {
        (self.handshakes() / 4).max(1)
    }

    /// The limits that the protocol decoder enforces.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            message: self.message_size,
            fragments: self.fragments,
        }
    }
}

/// The descriptor limit of the process.
fn descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX)
}

/// The longest time of a setting. More is surely a mistake, and sums of times must not overflow.
const MAX_TIME: Duration = Duration::from_hours(24);

/// Why a configuration is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting is zero that must not be.
    #[error("{0} must be above zero")]
    Zero(&'static str),
    /// A time is longer than a day.
    #[error("{0} must be at most one day")]
    TooLong(&'static str),
    /// A setting is too small for another one.
    #[error("{name} is too small for {bound}: raise it, or lower the other")]
    TooSmall {
        /// The setting.
        name: &'static str,
        /// What does not fit: another setting, or a fixed size.
        bound: &'static str,
    },
    /// The compression level is none of zlib's.
    #[error("the compression level must be 1 to 9, not {0}")]
    Level(u32),
}

#[cfg(test)]
mod tests;
