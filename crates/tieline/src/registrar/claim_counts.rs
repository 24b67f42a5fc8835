//! What became of the claims of this node.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(super) struct ClaimCounts {
    granted: AtomicU64,
    refused: AtomicU64,
    failed_requests: AtomicU64,
    audits: AtomicU64,
    swept: AtomicU64,
}

/// A snapshot.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClaimTotals {
    pub(crate) granted: u64,
    pub(crate) refused: u64,
    /// Requests that were not answered.
    pub(crate) failed_requests: u64,
    /// Comparisons that have begun.
    pub(crate) audits: u64,
    /// Entries without a client.
    pub(crate) swept: u64,
}

impl ClaimCounts {
    pub(super) fn granted(&self) {
        self.granted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn request_failed(&self) {
        self.failed_requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn audit_begun(&self) {
        self.audits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn swept(&self, entries: usize) {
        self.swept.fetch_add(entries as u64, Ordering::Relaxed);
    }

    pub(super) fn totals(&self) -> ClaimTotals {
        ClaimTotals {
            granted: self.granted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            failed_requests: self.failed_requests.load(Ordering::Relaxed),
            audits: self.audits.load(Ordering::Relaxed),
            swept: self.swept.load(Ordering::Relaxed),
        }
    }
}
