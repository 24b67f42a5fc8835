//! Every limit and every policy, with its default and what it costs.
//!
//! Owns [`Config`] and its validation; reads no file and no environment (the server does that).

use std::time::Duration;

use tieline_websocket::{Deflate, Limits};

/// The configuration of a hub, its connections and its listener.
///
/// A plain struct: change what you need and take the rest from [`Config::default`].
///
/// ```
/// use tieline::{Config, SlowConsumer};
///
/// let config = Config {
///     message_size: 64 * 1024,
///     slow_consumer: SlowConsumer::DropOldest,
///     ..Config::default()
/// };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// Longest message a client may send, in bytes, inflated size included; beyond it the connection
    /// closes with 1009. Default 1 MiB. A connection holds at most this much while a message is
    /// unfinished, and only as much as has arrived.
    pub message_size: usize,
    /// Most fragments of one message; beyond it 1009. Default 4,096.
    pub fragments: u32,
    /// How long a message may stay unfinished; then 1008. Default 30 s.
    pub message_timeout: Duration,
    /// Longest header block of an upgrade request, in bytes, at least 8 KiB; beyond it 431. Default
    /// 16 KiB, held only until the upgrade.
    pub header_size: usize,
    /// Most header fields of an upgrade request; beyond it 431. Default 100.
    pub header_fields: usize,
    /// From the accept of the TCP connection to the upgrade, TLS and the application's decision
    /// included. Default 5 s. Behind an axum router a decision is not cut short, but answered 503 if
    /// it came too late.
    pub handshake_timeout: Duration,
    /// Most TCP connections that are not upgraded yet, plain HTTP requests among them; further ones
    /// wait in the kernel's backlog. `None`, the default, takes a twentieth of the process's descriptor
    /// limit, at least 64, so that strangers who say nothing take no descriptor from the application.
    pub max_handshakes: Option<usize>,
    /// Bytes that may wait for one client; then [`Config::slow_consumer`] applies. Default 4 MiB. One
    /// frame always fits an empty outbox. A frame for many receivers is held once, however many wait.
    pub outbox_bytes: usize,
    /// Frames that may wait for one client. Default 4,096 (8 bytes each beside the frame itself).
    pub outbox_frames: usize,
    /// What happens to a client whose outbox is full. Default: it is disconnected.
    pub slow_consumer: SlowConsumer,
    /// Bytes of messages to many receivers that may wait in one shard; then they are answered
    /// `queue_full`. Default 16 MiB.
    pub broadcast_queue_bytes: usize,
    /// Messages to many receivers that may wait in one shard. Default 65,536.
    pub broadcast_queue_frames: usize,
    /// Silence after which a client is pinged. Default 25 s, below the 30 to 60 s after which common
    /// proxies drop an idle connection.
    pub ping_interval: Duration,
    /// Further silence after which the client is taken for dead. Default 20 s.
    pub ping_timeout: Duration,
    /// How long a close waits: for a running handler, for queued frames to leave and for the client's
    /// close frame. Default 5 s.
    pub close_timeout: Duration,
    /// The time over which a drain spreads its closes, so that clients do not all come back at once.
    /// Default 10 s.
    pub drain_window: Duration,
    /// When a drain stops waiting; what is left is counted in
    /// [`Drained::left`](crate::Drained::left). At least the window plus `close_timeout`. Default 20 s:
    /// with the 5 s that HTTP requests may take to end before it, it fits the 30 s that orchestrators
    /// commonly grant.
    pub drain_timeout: Duration,
    /// Most connections of this node; further upgrades are answered 503. `None`, the default, takes
    /// nine tenths of the process's descriptor limit.
    pub max_connections: Option<usize>,
    /// Most groups one connection may be in; a join beyond it is refused. Default 128. Each costs about
    /// 100 bytes and its name, which a client may choose to be 1,024 bytes long.
    pub groups_per_connection: usize,
    /// What happens when an id connects that is connected already. Default: the newer wins.
    pub duplicate: Duplicate,
    /// Which pages may connect. Default: those of the same host, and clients that send no `Origin`.
    pub origins: Origins,
    /// permessage-deflate for clients that offer it, or `None`, the default: compression costs about
    /// twenty times the CPU of a small send. A message to many is compressed once.
    pub compression: Option<Deflate>,
    /// Parts of the hub that work independently, at most 65,535. `None`, the default, takes one per
    /// processor.
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
            max_handshakes: None,
            outbox_bytes: 4 * 1024 * 1024,
            outbox_frames: 4096,
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
            duplicate: Duplicate::Replace,
            origins: Origins::SameHost,
            compression: None,
            shards: None,
        }
    }
}

/// What happens when an id connects that is connected already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Duplicate {
    /// The newer connection wins; the older is closed with 4409.
    Replace,
    /// The newer connection is refused with 409 before the upgrade.
    Reject,
}

/// What happens to a client whose outbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// It is closed with 1013, and what waited for it is discarded.
    Disconnect,
    /// The new frame is refused, and its sender is told.
    DropNewest,
    /// The oldest waiting frames make room; their senders were told `Delivered`.
    DropOldest,
}

/// Which pages may connect, by the `Origin` header that browsers send (RFC 6455, 10.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origins {
    /// The origin's host and port are those of the `Host` header, or there is no origin.
    SameHost,
    /// The origin is one of these, as in `https://example.org`, or there is none.
    List(Vec<String>),
    /// Every page. Only for servers that hold nothing a page could misuse.
    Any,
}

impl Config {
    /// Checks the settings against each other; [`Hub::new`](crate::Hub::new) does it too.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let above_zero = [
            ("message_size", self.message_size),
            ("fragments", self.fragments as usize),
            ("header_fields", self.header_fields),
            ("outbox_frames", self.outbox_frames),
            ("broadcast_queue_frames", self.broadcast_queue_frames),
            ("max_connections", self.max_connections.unwrap_or(1)),
            ("max_handshakes", self.max_handshakes.unwrap_or(1)),
            ("shards", self.shards.unwrap_or(1)),
        ];
        if let Some((name, _)) = above_zero.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Zero(name));
        }
        let times = [
            ("message_timeout", self.message_timeout),
            ("handshake_timeout", self.handshake_timeout),
            ("ping_interval", self.ping_interval),
            ("ping_timeout", self.ping_timeout),
            ("close_timeout", self.close_timeout),
            ("drain_timeout", self.drain_timeout),
        ];
        if let Some((name, _)) = times.into_iter().find(|(_, time)| time.is_zero()) {
            return Err(ConfigError::Zero(name));
        }
        let times = times
            .into_iter()
            .chain([("drain_window", self.drain_window)]);
        if let Some((name, _)) = times.into_iter().find(|(_, time)| *time > MOST_TIME) {
            return Err(ConfigError::TooLong(name));
        }
        self.validate_sizes()
    }

    fn validate_sizes(&self) -> Result<(), ConfigError> {
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
        ];
        for (name, value, bound, least) in ordered {
            if value <= least {
                return Err(ConfigError::TooSmall { name, bound });
            }
        }
        if self.drain_timeout < self.drain_window.saturating_add(self.close_timeout) {
            let bound = "drain_window + close_timeout";
            return Err(ConfigError::TooSmall {
                name: "drain_timeout",
                bound,
            });
        }
        if let Some(deflate) = self.compression
            && !(1..=9).contains(&deflate.level)
        {
            return Err(ConfigError::Level(deflate.level));
        }
        Ok(())
    }

    /// Most connections: a tenth of the descriptors is left for listeners, handshakes and the
    /// application.
    pub(crate) fn capacity(&self) -> usize {
        self.max_connections
            .unwrap_or_else(|| descriptors() / 10 * 9)
    }

    /// Most connections before the upgrade.
    pub(crate) fn handshakes(&self) -> usize {
        let most = self
            .max_handshakes
            .unwrap_or_else(|| (descriptors() / 20).max(64));
        most.min(tokio::sync::Semaphore::MAX_PERMITS)
    }

    /// The limits that the protocol enforces.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            message: self.message_size,
            fragments: self.fragments,
        }
    }
}

/// The process's limit on descriptors.
fn descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX)
}

/// The longest time that a setting may be. More is a slip of the pen, and sums of times must not
/// overflow.
const MOST_TIME: Duration = Duration::from_hours(24);

/// Settings that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting that must be above zero is zero.
    #[error("{0} must be above zero")]
    Zero(&'static str),
    /// A time is longer than a day.
    #[error("{0} is longer than a day, the limit")]
    TooLong(&'static str),
    /// A setting is too small for another one.
    #[error("{name} is too small for {bound}: raise it, or lower the other")]
    TooSmall {
        /// The setting.
        name: &'static str,
        /// What it must hold.
        bound: &'static str,
    },
    /// The compression level is not one of zlib's.
    #[error("the compression level is {0}, it must be 1 to 9")]
    Level(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn a_message_must_fit_an_outbox() {
        let config = Config {
            outbox_bytes: 100,
            message_size: 100,
            ..Config::default()
        };
        let error = ConfigError::TooSmall {
            name: "outbox_bytes",
            bound: "message_size",
        };
        assert_eq!(config.validate(), Err(error));
    }

    #[test]
    fn zeroes_are_refused_by_name() {
        let config = Config {
            ping_timeout: Duration::ZERO,
            ..Config::default()
        };
        assert_eq!(config.validate(), Err(ConfigError::Zero("ping_timeout")));
        let config = Config {
            shards: Some(0),
            ..Config::default()
        };
        assert_eq!(config.validate(), Err(ConfigError::Zero("shards")));
    }

    #[test]
    fn a_time_is_at_most_a_day() {
        let config = Config {
            drain_timeout: Duration::from_secs(u64::MAX),
            ..Config::default()
        };
        assert_eq!(
            config.validate(),
            Err(ConfigError::TooLong("drain_timeout"))
        );
    }

    #[test]
    fn a_drain_outlives_its_window() {
        let config = Config {
            drain_timeout: Duration::from_secs(14),
            ..Config::default()
        };
        assert!(matches!(
            config.validate(),
            Err(ConfigError::TooSmall {
                name: "drain_timeout",
                ..
            })
        ));
    }
}
