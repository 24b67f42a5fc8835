//! The caller of a request on the peer server, and warnings about refused callers.
//!
//! Owns the remote address of a request, and the rate of warnings. Must not know why a caller is refused.
//! Invariant: at most one warning per second is logged, however often strangers connect.

use std::{fmt::Display, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::Status;

use super::places::{Full, Place};

/// At most one warning in this time, so that unauthorized callers cannot flood the log.
const WARNING_INTERVAL: Duration = Duration::from_secs(1);

/// The connection that a request came on; an extension of the request.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) from: SocketAddr,
    pub(super) place: Arc<Place>,
}

impl Caller {
    /// `None` if the request did not come through the [`Authorizer`](super::authorizer::Authorizer).
    pub(super) fn of(extensions: &tonic::Extensions) -> Option<Self> {
        extensions.get().cloned()
    }

    /// Gives the connection a place among those of peers.
    pub(super) fn admit(&self) -> Result<(), Status> {
        self.place.promote().map_err(|Full| {
            Status::resource_exhausted(
                "this node has too many connections of peers: raise its setting `peer_connections`",
            )
        })
    }
}

/// Rate-limited warnings about refused connections and calls.
#[derive(Debug, Default)]
pub(super) struct Warnings(Mutex<Option<Instant>>);

impl Warnings {
    pub(super) fn warn(&self, from: SocketAddr, why: &dyn Display) {
        let mut last = self.0.lock();
        if last.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
            *last = Some(Instant::now());
            tracing::warn!(%from, %why, "refused on the peer port");
        }
    }
}
