//! The state of a link's dial: whether there is a connection, and what its peer supports.
//!
//! Pure transitions. Must not know queues, tasks or clocks: times are passed in.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

use tokio::time::Instant;

use super::liveness::Liveness;
use crate::link::{proto::NAMESPACES, transport::Tasks};

/// How long requests may wait for a dial. In a data centre a dial takes a few milliseconds, with TLS some
/// tens of them.
const DIAL_GRACE: Duration = Duration::from_millis(200);

/// The state of a link's dial.
///
/// ```text
///       new
///        │
///        ▼       on_connect           on_hello, on_unary_only
///  ┌─► Dialing ─────────────► Greeting ─────────────────────► Up ◄─┐ on_connect, on_hello,
///  │      │                       │                           │ └──┘ on_unary_only of a peer that
///  │      │ on_close              │ on_close         on_close │      supports the unary service only
///  │      ▼                       ▼                           │
///  └──── Down ◄───────────────────┴───────────────────────────┘
/// on_dial
///
///  any state ── on_end ──► Ended
/// ```
///
/// A peer of the unary service is asked from time to time whether it supports the stream by now. Its link
/// stays up meanwhile: the new stream takes no requests before the peer's hello.
pub(super) enum DialState {
    /// A dial has started.
    Dialing {
        /// Requests are queued until then; `None` after a failed dial: they are refused.
        queue_until: Option<Instant>,
    },
    /// Connected. The stream of this epoch has sent its hello and awaits the peer's.
    Greeting {
        epoch: u64,
        connection: Tasks,
        queue_until: Option<Instant>,
    },
    /// Requests are sent.
    Up {
        /// The stream that takes requests once the peer's hello has arrived; `None` after the peer has
        /// refused one.
        epoch: Option<u64>,
        connection: Tasks,
        peer: PeerKind,
        liveness: Liveness,
        /// A version of the peer's interest to acknowledge.
        interest_ack: Option<NonZeroU64>,
    },
    /// The last dial failed, or the stream ended. The next dial starts after a pause.
    Down,
    /// The link has been ended for good.
    Ended,
}

/// What a peer supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerKind {
    Stream {
        /// The largest encoded request that the peer accepts.
        max_request: NonZeroUsize,
        /// Of the stream.
        version: u32,
    },
    /// The unary service only: a node of go-websocket.
    UnaryOnly,
}

/// The state of a link, as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkStatus {
    /// A dial has started for which requests wait, for 200 ms at most.
    Dialing,
    /// Requests are sent.
    Up,
    /// The peer has not responded for a second: requests are refused until it does.
    Suspect,
    /// The last dial failed: requests are refused until one succeeds.
    Down,
    /// [`Link::end`](super::Link::end) was called.
    Ended,
}

impl DialState {
    /// The first dial, for which requests wait.
    pub(super) fn new(now: Instant) -> Self {
        Self::Dialing {
            queue_until: Some(now + DIAL_GRACE),
        }
    }

    pub(super) fn status(&self) -> LinkStatus {
        match self {
            Self::Dialing { queue_until } | Self::Greeting { queue_until, .. } => {
                queue_until.map_or(LinkStatus::Down, |_| LinkStatus::Dialing)
            }
            Self::Up { liveness, .. } if liveness.is_marked_suspect() => LinkStatus::Suspect,
            Self::Up { .. } => LinkStatus::Up,
            Self::Down => LinkStatus::Down,
            Self::Ended => LinkStatus::Ended,
        }
    }

    /// Whether requests are queued now, rather than refused.
    pub(super) fn accepts_requests(&self, now: Instant) -> bool {
        match self {
            Self::Dialing { queue_until } | Self::Greeting { queue_until, .. } => {
                queue_until.is_some_and(|until| now <= until)
            }
            // Between two ticks silence is not judged: the process may not have run.
            Self::Up { liveness, .. } => !liveness.is_marked_suspect(),
            Self::Down | Self::Ended => false,
        }
    }

    /// Whether the peer may know namespaces; it does not as soon as its version says so.
    pub(super) fn may_know_namespaces(&self) -> bool {
        match self {
            Self::Up { peer, .. } => match peer {
                PeerKind::Stream { version, .. } => *version >= NAMESPACES,
                PeerKind::UnaryOnly => false,
            },
            _ => true,
        }
    }

    pub(super) fn liveness(&mut self) -> Option<&mut Liveness> {
        match self {
            Self::Up { liveness, .. } => Some(liveness),
            _ => None,
        }
    }

    /// A dial starts. Requests wait for it if `queues_requests`: for the first dial, and for one after a
    /// stream that lasted.
    pub(super) fn on_dial(&mut self, now: Instant, queues_requests: bool) {
        if matches!(self, Self::Dialing { .. } | Self::Down) {
            *self = Self::Dialing {
                queue_until: queues_requests.then(|| now + DIAL_GRACE),
            };
        }
    }

    /// The stream of this epoch sends its hello on a connection.
    pub(super) fn on_connect(&mut self, epoch: u64, connection: Tasks) {
        match self {
            Self::Dialing { queue_until } => {
                *self = Self::Greeting {
                    epoch,
                    connection,
                    queue_until: *queue_until,
                };
            }
            Self::Up {
                epoch: current,
                connection: current_connection,
                peer: PeerKind::UnaryOnly,
                ..
            } => {
                *current = Some(epoch);
                *current_connection = connection;
            }
            // Each connection has one stream at a time.
            Self::Greeting { .. } | Self::Up { .. } | Self::Down | Self::Ended => {}
        }
    }

    /// The peer's hello has arrived.
    pub(super) fn on_hello(&mut self, max_request: NonZeroUsize, version: u32, now: Instant) {
        let kind = PeerKind::Stream {
            max_request,
            version,
        };
        self.go_up(kind, now);
    }

    /// The peer does not know the stream.
    pub(super) fn on_unary_only(&mut self, now: Instant) {
        self.go_up(PeerKind::UnaryOnly, now);
    }

    fn go_up(&mut self, kind: PeerKind, now: Instant) {
        let (stream, connection) = match std::mem::replace(self, Self::Down) {
            Self::Greeting {
                epoch, connection, ..
            } => (Some(epoch), connection),
            Self::Up {
                epoch,
                connection,
                peer: PeerKind::UnaryOnly,
                ..
            } if epoch.is_some() || kind == PeerKind::UnaryOnly => (epoch, connection),
            // Only a greeting leads here.
            unchanged => {
                *self = unchanged;
                return;
            }
        };
        *self = Self::Up {
            // A refused stream may be polled until its reset arrives: it must not take the waker of the
            // unary client.
            epoch: stream.filter(|_| kind != PeerKind::UnaryOnly),
            connection,
            peer: kind,
            liveness: Liveness::new(now),
            interest_ack: None,
        };
    }

    /// The dial failed, or the connection ended.
    pub(super) fn on_close(&mut self) {
        if !matches!(self, Self::Ended) {
            *self = Self::Down;
        }
    }

    /// The link is ended for good.
    pub(super) fn on_end(&mut self) {
        *self = Self::Ended;
    }
}
