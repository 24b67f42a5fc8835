//! What requests share.

use std::sync::Arc;

use tieline::Presence;

use super::counts::Counts;
use crate::wire::{outcome::MissedLog, pusher::service::Pusher};

/// What requests share.
pub(super) struct Shared {
    pub(super) pusher: Arc<Pusher>,
    /// Who is in the presence channels, in the default namespace.
    pub(super) presence: Option<Presence>,
    pub(super) counts: Counts,
    pub(super) missed: MissedLog,
}

impl Shared {
    pub(super) fn new(pusher: Arc<Pusher>, presence: Option<Presence>) -> Self {
        let missed = MissedLog::default();
        Self {
            pusher,
            presence,
            counts: Counts::new(missed.clone()),
            missed,
        }
    }
}
