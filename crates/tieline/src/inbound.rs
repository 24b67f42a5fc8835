//! How much a client may send, and what happens if it sends more.
//!
//! Plain values, and the trait for limits that are the application's: `connection/meter.rs` measures,
//! `connection/restraint.rs` acts. Must not know connections.

use std::{fmt, time::Duration};

use tieline_websocket::CloseFrame;

/// How much each client may send. By default there is no limit.
///
/// Each limit is a token bucket: it fills at the given rate up to what arrives in `burst`, and every message
/// takes from it. Costs 160 bytes per connection and a look at the clock per message, if a limit is set.
///
/// ```
/// use std::time::Duration;
/// use tieline::{Config, Excess, Inbound};
///
/// let config = Config {
///     message_size: 64 * 1024,
///     inbound: Inbound {
///         messages: Some(20),
///         bytes: Some(256 * 1024),
///         burst: Duration::from_secs(5),
///         excess: Excess::Close,
///     },
///     ..Config::default()
/// };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Messages per second. Default `None`: no limit.
    pub messages: Option<u32>,
    /// Bytes per second, as they arrive: compressed, with the headers of frames, pings included. Default
    /// `None`: no limit. A message of the largest size must be able to arrive within
    /// [`Config::message_timeout`](crate::Config::message_timeout).
    pub bytes: Option<u32>,
    /// The time whose messages and bytes may come at once. Default 1 s, at most a day. A message that is longer
    /// than that takes a full bucket, and what it lacks has to flow in before the next.
    pub burst: Duration,
    /// What happens to a client that sends more. Default: it is slowed down.
    pub excess: Excess,
}

impl Default for Inbound {
    fn default() -> Self {
        Self {
            messages: None,
            bytes: None,
            burst: Duration::from_secs(1),
            excess: Excess::SlowDown,
        }
    }
}

impl Inbound {
    /// Whether a message of this size can arrive within this time.
    pub(crate) fn admits(&self, message_size: usize, message_timeout: Duration) -> bool {
        let millis = message_timeout.as_millis();
        let arrives = |rate| u128::from(rate) * millis / 1000;
        self.bytes
            .is_none_or(|rate: u32| arrives(rate) >= message_size as u128)
    }

    /// Whether there is anything to measure.
    pub(crate) fn is_limited(&self) -> bool {
        self.messages.is_some() || self.bytes.is_some()
    }
}

/// What happens to a client that sends more than [`Inbound`] allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Excess {
    /// What is too much is handled once the bucket lacks nothing for it, and the client is not read from
    /// meanwhile: TCP slows it down, and nothing is lost. Its pings wait, too.
    SlowDown,
    /// It is closed with code 1008, and the message is dropped.
    Close,
    /// [`Handler::on_excess`](crate::Handler::on_excess) decides about each message. A client with a
    /// [`Socket`](crate::Socket) is slowed down, and so is one whose messages [come in pieces](crate::Accept::streaming).
    /// Pings and fragments alone are not limited.
    Ask,
}

/// What [`Handler::on_excess`](crate::Handler::on_excess) decides about a message that is too much.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExcessVerdict {
    /// It is handled at once.
    Deliver,
    /// It is handled once the bucket lacks nothing for it; until then the client is not read from.
    SlowDown,
    /// It is dropped.
    Drop,
    /// It is dropped, and the connection closes.
    Close(CloseFrame),
}

/// A limit that several connections share, such as those of a user or of an address: an upgrade adds it with
/// [`Accept::inbound_limit`](crate::Accept::inbound_limit). It applies beside [`Inbound`], which is each connection's
/// own; the stricter of both decides.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
/// use std::time::Duration;
/// use tieline::{Accept, Excess, InboundLimit, InboundVerdict};
///
/// /// What all clients of a trial account may send, until somebody resets it.
/// #[derive(Debug)]
/// struct Trial(AtomicU64);
///
/// impl InboundLimit for Trial {
///     fn take(&self, _messages: usize, bytes: usize) -> InboundVerdict {
///         let before = self.0.fetch_add(bytes as u64, Ordering::Relaxed);
///         if before > 10 * 1024 * 1024 {
///             return InboundVerdict::Excess { policy: Excess::Close, wait: Duration::ZERO };
///         }
///         InboundVerdict::Within
///     }
/// }
///
/// fn accept(trial: &Arc<Trial>) -> Accept<()> {
///     Accept::new(()).inbound_limit(trial.clone())
/// }
/// ```
pub trait InboundLimit: fmt::Debug + Send + Sync + 'static {
    /// Takes what one of the connections has sent, before it is handled: whole messages, and bytes as they arrive,
    /// with the headers of frames, pings included. Called for each frame by the task of its connection, so at once by
    /// several threads: it must be quick and must not block.
    fn take(&self, messages: usize, bytes: usize) -> InboundVerdict;
}

/// What an [`InboundLimit`] says of what has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InboundVerdict {
    /// It is handled at once.
    Within,
    /// It is too much.
    Excess {
        /// What happens to it.
        policy: Excess,
        /// How long it waits if it is slowed down.
        wait: Duration,
    },
}
