//! What became of the requests to an endpoint.
//!
//! Owns the counts that operators see of one endpoint, since it was made. Must not know what an answer means.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::app::{clock, inspection::reports::EndpointReport};

#[derive(Debug, Default)]
pub(super) struct History {
    open: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    has_failed: bool,
    /// With its time, in seconds since 1970.
    error: Option<(u64, String)>,
}

/// A request that has not ended.
pub(super) struct OpenCall<'a>(&'a History);

impl History {
    pub(super) fn begin(&self) -> OpenCall<'_> {
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenCall(self)
    }

    pub(super) fn report(&self, breaker: &str) -> EndpointReport {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (succeeded, failed) = (load(&self.succeeded), load(&self.failed));
        let last = self.last.lock();
        let (at, error) = last.error.clone().unzip();
        let state = match (succeeded + failed, last.has_failed) {
            (0, _) => "idle",
            (_, true) => "failing",
            (_, false) => "answering",
        };
        EndpointReport {
            state: state.to_owned(),
            breaker: breaker.to_owned(),
            queued: load(&self.open),
            succeeded,
            failed,
            last_error: error,
            last_error_at: at,
        }
    }
}

impl OpenCall<'_> {
    /// It has ended, with what is wrong if anything is.
    pub(super) fn ended(self, error: Option<String>) {
        let history = self.0;
        let count = match &error {
            None => &history.succeeded,
            Some(_) => &history.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        let mut last = history.last.lock();
        last.has_failed = error.is_some();
        if let Some(error) = error {
            last.error = Some((clock::unix_seconds(), error));
        }
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
