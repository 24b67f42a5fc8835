//! What became of tracked frames that have left an outbox.
//!
//! Owns the outcomes from the moment at which a frame leaves the queue, under the lock of the send side, until they are
//! told, without it. Must not know why frames leave. Costs nothing as long as no frame is tracked.

use std::sync::Arc;

use tieline_websocket::AnyFrame;

use crate::written::{Tracker, WriteOutcome};

/// Outcomes to tell once no lock is held.
#[derive(Debug, Default)]
#[must_use = "whoever waits is to be told"]
pub(crate) struct Reports(Vec<(Arc<Tracker>, WriteOutcome)>);

impl Reports {
    /// Notes what became of a frame, if it is tracked.
    #[inline]
    pub(super) fn note(&mut self, frame: &AnyFrame, outcome: WriteOutcome) {
        if let Some(tag) = frame.tag()
            && let Ok(tracker) = Arc::clone(tag).downcast()
        {
            self.0.push((tracker, outcome));
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds trackers that have one outcome.
    pub(super) fn add(
        &mut self,
        trackers: impl IntoIterator<Item = Arc<Tracker>>,
        outcome: WriteOutcome,
    ) {
        self.0
            .extend(trackers.into_iter().map(|tracker| (tracker, outcome)));
    }

    /// The trackers, whatever the outcome.
    pub(super) fn into_trackers(self) -> impl Iterator<Item = Arc<Tracker>> {
        self.0.into_iter().map(|(tracker, _)| tracker)
    }

    /// Tells those who wait. No lock may be held.
    pub(super) fn tell(self) {
        for (tracker, outcome) in self.0 {
            tracker.decide(outcome);
        }
    }
}
