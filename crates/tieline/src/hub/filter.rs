//! A filter, ready to be asked about connections.
//!
//! Owns that a panic of the application's predicate harms nobody. Must not know what a filter says.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::inner::ConnectionInner;

type Predicate = dyn Fn(&Arc<ConnectionInner>) -> bool + Send + Sync;

/// Which connections of a scope get one message.
pub(super) struct Filter {
    predicate: Box<Predicate>,
    has_panicked: AtomicBool,
}

impl Filter {
    pub(super) fn new(
        predicate: impl Fn(&Arc<ConnectionInner>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            predicate: Box::new(predicate),
            has_panicked: AtomicBool::new(false),
        }
    }

    /// Whether a connection gets the message. Calls the application, so no lock may be held.
    pub(super) fn admits(&self, conn: &Arc<ConnectionInner>) -> bool {
        let admits = catch_unwind(AssertUnwindSafe(|| (self.predicate)(conn)));
        admits.unwrap_or_else(|_| {
            if !self.has_panicked.swap(true, Ordering::Relaxed) {
                tracing::error!("a filter panicked; where it does, clients do not get the message");
            }
            false
        })
    }
}
