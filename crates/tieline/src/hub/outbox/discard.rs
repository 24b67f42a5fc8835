//! Frames that leave an outbox unwritten, and what is noted of those that are tracked.
//!
//! Owns which frames may be discarded: none that has begun to leave, unless the connection ends, and no part of a
//! message that was sent in pieces, unless the connection closes.

use tieline_websocket::{AnyFrame, FrameKind};

use super::{Flags, Outbox, OutboxRules};
use crate::{hub::reports::Reports, written::WriteOutcome};

impl Outbox {
    /// Discards the oldest frame that has not begun to leave; false if there is none. A fragment stays: without it,
    /// the client would take another message for the rest of this one, or a part for the whole.
    pub(crate) fn discard_oldest(&mut self, rules: &OutboxRules, reports: &mut Reports) -> bool {
        let waiting = self.queue.iter().enumerate().skip(self.begun());
        let mut whole = waiting.filter(|(_, frame)| frame.kind() != FrameKind::Fragment);
        let oldest = whole.next().map(|(place, _)| place);
        oldest.is_some_and(|place| self.discard(place, WriteOutcome::Discarded, rules, reports))
    }

    /// How many frames have begun to leave.
    fn begun(&self) -> usize {
        usize::from(self.written > 0)
    }

    /// Discards the frame at this place; false if there is none.
    fn discard(
        &mut self,
        place: usize,
        outcome: WriteOutcome,
        rules: &OutboxRules,
        reports: &mut Reports,
    ) -> bool {
        match self.queue.remove(place) {
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
        while self.discard(self.begun(), WriteOutcome::Lost, rules, reports) {}
    }

    /// Discards everything, because the connection ends.
    pub(crate) fn clear(&mut self, rules: &OutboxRules, reports: &mut Reports) {
        self.report_all(WriteOutcome::Lost, reports);
        if self.is_counted() {
            rules.budget.subtract(&self.queue);
        }
        self.count_delivered(rules);
        *self = Self::default();
    }

    /// Notes what became of a frame that leaves the queue, if it is tracked.
    #[inline]
    pub(super) fn report(&self, frame: &AnyFrame, outcome: WriteOutcome, reports: &mut Reports) {
        if self.flags.has(Flags::TRACKS) {
            reports.note(frame, outcome);
        }
    }

    /// As [`Outbox::report`], for all that are queued.
    #[inline]
    pub(super) fn report_all(&self, outcome: WriteOutcome, reports: &mut Reports) {
        if self.flags.has(Flags::TRACKS) {
            self.queue
                .iter()
                .for_each(|frame| reports.note(frame, outcome));
        }
    }
}
