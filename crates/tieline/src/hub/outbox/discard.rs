//! Frames that leave an outbox unwritten, and what is noted of those that are tracked.
//!
//! Owns which frames may be discarded: none that has begun to leave, unless the connection ends.

use tieline_websocket::AnyFrame;

use super::{Outbox, OutboxRules};
use crate::{hub::reports::Reports, written::WriteOutcome};

impl Outbox {
    /// Discards the oldest frame that has not begun to leave; false if there is none.
    pub(crate) fn discard_oldest(&mut self, rules: &OutboxRules, reports: &mut Reports) -> bool {
        self.discard(WriteOutcome::Discarded, rules, reports)
    }

    fn discard(
        &mut self,
        outcome: WriteOutcome,
        rules: &OutboxRules,
        reports: &mut Reports,
    ) -> bool {
        match self.queue.remove(usize::from(self.written > 0)) {
            Some(frame) => {
                self.report(&frame, outcome, reports);
                self.bytes -= self.length(&frame, rules);
                self.subtract(&frame, rules);
                true
            }
            None => false,
        }
    }

    /// Discards everything that has not begun to leave, because the connection closes.
    pub(crate) fn discard_waiting(&mut self, rules: &OutboxRules, reports: &mut Reports) {
        self.pong = None;
        while self.discard(WriteOutcome::Lost, rules, reports) {}
    }

    /// Discards everything, because the connection ends.
    pub(crate) fn clear(&mut self, rules: &OutboxRules, reports: &mut Reports) {
        self.report_all(WriteOutcome::Lost, reports);
        if self.counted {
            rules.budget.subtract(&self.queue);
        }
        self.count_delivered(rules);
        *self = Self::default();
    }

    /// Notes what became of a frame that leaves the queue, if it is tracked.
    #[inline]
    pub(super) fn report(&self, frame: &AnyFrame, outcome: WriteOutcome, reports: &mut Reports) {
        if self.tracks {
            reports.note(frame, outcome);
        }
    }

    /// As [`Outbox::report`], for all that are queued.
    #[inline]
    pub(super) fn report_all(&self, outcome: WriteOutcome, reports: &mut Reports) {
        if self.tracks {
            self.queue
                .iter()
                .for_each(|frame| reports.note(frame, outcome));
        }
    }
}
