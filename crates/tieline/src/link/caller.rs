//! The caller of a request on the peer server, and warnings about refused callers.
//!
//! Owns the remote address of a request, its place, and the rate of warnings. Must not know why a caller is
//! refused. Invariant: however often strangers connect, the log grows by one line a second at most, and by one
//! an hour for the same refusal of the same machine.

use std::{
    collections::HashMap,
    fmt::Display,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::Status;

use super::{
    places::{Full, Place},
    proto::Refusal,
};

/// At most one warning in this time, so that unauthorized callers cannot flood the log.
const WARNING_INTERVAL: Duration = Duration::from_secs(1);
/// The same refusal of the same machine is logged once in this time.
const REFUSAL_INTERVAL: Duration = Duration::from_hours(1);
/// Refusals that are remembered.
const MAX_REFUSALS: usize = 256;

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
        self.place.promote().map_err(too_many)
    }

    /// Whether a place would be free now.
    pub(super) fn check_room(&self) -> Result<(), Status> {
        self.place.check_room().map_err(too_many)
    }
}

fn too_many(_: Full) -> Status {
    Status::resource_exhausted(
        "this node has too many connections of peers: raise its setting `peer_connections`",
    )
}

/// Rate-limited warnings about refused connections and calls.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    last: Mutex<Option<Instant>>,
    refusals: Mutex<HashMap<(IpAddr, Refusal), Instant>>,
}

impl Warnings {
    pub(super) fn warn(&self, from: SocketAddr, why: &dyn Display) {
        let mut last = self.last.lock();
        if last.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
            *last = Some(Instant::now());
            tracing::warn!(%from, %why, "refused on the peer port");
        }
    }

    /// For a refusal that a person has to resolve: not lost behind other warnings, and not repeated while the
    /// other node tries again.
    pub(super) fn warn_once(&self, from: SocketAddr, refusal: Refusal, why: &dyn Display) {
        match self.remember(from.ip(), refusal) {
            Memory::New => tracing::warn!(%from, %why, "refused on the peer port"),
            Memory::Known => {}
            Memory::Full => self.warn(from, why),
        }
    }

    fn remember(&self, from: IpAddr, refusal: Refusal) -> Memory {
        let is_recent = |at: &Instant| at.elapsed() < REFUSAL_INTERVAL;
        let mut refusals = self.refusals.lock();
        if refusals.get(&(from, refusal)).is_some_and(is_recent) {
            return Memory::Known;
        }
        if refusals.len() >= MAX_REFUSALS {
            refusals.retain(|_, at| is_recent(at));
        }
        if refusals.len() >= MAX_REFUSALS {
            return Memory::Full;
        }
        refusals.insert((from, refusal), Instant::now());
        Memory::New
    }
}

/// Whether a refusal was logged before.
enum Memory {
    New,
    Known,
    Full,
}
