//! The caller of a request on the peer server, and warnings about refused callers.
//!
//! Owns the remote address of a request, and the rate of warnings. Must not know why a caller is refused.
//! Invariant: at most one warning per second is logged, however often strangers connect.

use std::{
    fmt::Display,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

/// At most one warning in this time, so that unauthorized callers cannot flood the log.
const WARNING_INTERVAL: Duration = Duration::from_secs(1);

/// Remote address of the connection that a request came on; an extension of the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller(pub(super) SocketAddr);

impl Caller {
    pub(super) fn of(extensions: &tonic::Extensions) -> SocketAddr {
        let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        extensions.get::<Self>().map_or(unknown, |caller| caller.0)
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
