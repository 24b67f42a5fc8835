//! What requests share.

use std::sync::Arc;

use super::counts::Counts;
use crate::wire::{outcome::MissedLog, pusher::service::Pusher};

/// What requests share.
pub(super) struct Shared {
    pub(super) pusher: Arc<Pusher>,
    pub(super) counts: Counts,
    pub(super) missed: MissedLog,
}

impl Shared {
    pub(super) fn new(pusher: Arc<Pusher>) -> Self {
        let missed = MissedLog::default();
        Self {
            pusher,
            counts: Counts::new(missed.clone()),
            missed,
        }
    }
}
