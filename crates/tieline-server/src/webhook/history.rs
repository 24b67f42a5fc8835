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

    /// A request was sent and not answered as it should be; it may be repeated.
    pub(super) fn attempt_failed(&self, error: String) {
        self.last.lock().failed(Some(error));
    }

    pub(super) fn report(&self, breaker: &str) -> EndpointReport {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (succeeded, failed) = (load(&self.succeeded), load(&self.failed));
        let last = self.last.lock();
        let (at, error) = last.error.clone().unzip();
        let state = match (succeeded, last.has_failed) {
            (_, true) => "failing",
            (0, false) => "idle",
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
    pub(super) fn succeeded(self) {
        self.0.succeeded.fetch_add(1, Ordering::Relaxed);
        self.0.last.lock().has_failed = false;
    }

    /// It has failed for a reason, or for that of those before.
    pub(super) fn failed(self, error: Option<String>) {
        self.0.failed.fetch_add(1, Ordering::Relaxed);
        self.0.last.lock().failed(error);
    }
}

impl Last {
    fn failed(&mut self, error: Option<String>) {
        self.has_failed = true;
        if let Some(error) = error {
            self.error = Some((clock::unix_seconds(), error));
        }
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
