//! What a connection that is not upgraded waits for, and how it ends by waiting.
//!
//! Plain values. Must not know how many connections there are.

use std::time::Duration;

use tokio::time::Instant;

/// How long a connection may wait for its client before it can be pushed out: as clients on slow
/// lines, or on a busy machine, need.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How often a connection is spared for as long again because bytes of it came since, or its TLS handshake
/// was completed. A client that sends byte by byte gains no more.
const REPRIEVES: u8 = 1;

/// What a connection waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    /// For the TLS handshake and a complete request head, since the accept or the request's first byte.
    Request {
        since: Instant,
        /// When it can be asked for its place.
        due: Instant,
        /// Whether bytes have come since `due` was set.
        progress: bool,
        reprieves: u8,
    },
    /// For the first byte of another request.
    Idle { since: Instant },
    /// For nothing that its client owes us.
    No,
    /// The place is given back.
    Released,
}

impl Wait {
    pub(super) fn request(since: Instant) -> Self {
        Self::Request {
            since,
            due: since + PATIENCE,
            progress: false,
            reprieves: REPRIEVES,
        }
    }

    /// When the connection can be asked for its place.
    pub(super) fn due(self) -> Option<Instant> {
        match self {
            Self::Request { due, .. } => Some(due),
            Self::Idle { since } => Some(since + PATIENCE),
            Self::No | Self::Released => None,
        }
    }
}

/// Why a connection has lost its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Its request took too long.
    TimedOut,
    /// Others needed its place before its request was complete.
    PushedOut,
    /// It was idle between two requests.
    Idle,
}
