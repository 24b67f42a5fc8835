//! How many connections a hub has.
//!
//! Owns the counts: of all namespaces, which the limit is about, and of the default one. Must not know what is
//! counted. Those of another namespace are counted by the index: few ask.

use std::sync::atomic::{AtomicUsize, Ordering};

use tieline_registry::{ClientId, id::DEFAULT_NAMESPACE};

#[derive(Debug, Default)]
pub(super) struct Population {
    all: AtomicUsize,
    in_default: AtomicUsize,
}

impl Population {
    /// Counts one more; returns how many there were before.
    pub(super) fn enter(&self, id: &ClientId) -> usize {
        if id.namespace() == DEFAULT_NAMESPACE {
            self.in_default.fetch_add(1, Ordering::AcqRel);
        }
        self.all.fetch_add(1, Ordering::AcqRel)
    }

    pub(super) fn leave(&self, id: &ClientId) {
        if id.namespace() == DEFAULT_NAMESPACE {
            self.in_default.fetch_sub(1, Ordering::AcqRel);
        }
        self.all.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn all(&self) -> usize {
        self.all.load(Ordering::Acquire)
    }

    pub(super) fn in_default(&self) -> usize {
        self.in_default.load(Ordering::Acquire)
    }
}
