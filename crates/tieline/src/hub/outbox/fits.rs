//! Whether an outbox takes more, by its bounds.
//!
//! Must not know whose bounds they are.

use tieline_websocket::AnyFrame;

use super::{Outbox, OutboxRules};
use crate::{config::SlowConsumer, hub::budget::FRAME_OVERHEAD};

impl Outbox {
    /// Whether one more frame stays within the bounds, the node's included.
    pub(crate) fn fits(&self, frame: &AnyFrame, rules: &OutboxRules) -> bool {
        self.fits_beside(0, 0, frame, rules)
    }

    /// As [`Outbox::fits`], for frames that wait behind those of another outbox, within the bounds of one.
    pub(crate) fn fits_behind(&self, front: &Self, frame: &AnyFrame, rules: &OutboxRules) -> bool {
        self.fits_beside(front.queue.len(), front.bytes, frame, rules)
    }

    #[inline]
    fn fits_beside(
        &self,
        frames: usize,
        bytes: usize,
        frame: &AnyFrame,
        rules: &OutboxRules,
    ) -> bool {
        if self.queue.is_empty() {
            return true;
        }
        let bounds = rules.bounds(self.slot);
        self.queue.len() + frames < bounds.frames
            && self.bytes + bytes + self.length(frame, rules) <= bounds.bytes
            && !rules.budget.is_exhausted()
    }

    /// Whether one more frame stays within twice the bound in bytes. Frames that only the connection's task
    /// may write wait until it runs: a burst may then pass the bounds this far.
    pub(crate) fn fits_burst(&self, frame: &AnyFrame, rules: &OutboxRules) -> bool {
        let overhead = self.queue.len() * FRAME_OVERHEAD;
        let bytes = rules.bounds(self.slot).bytes;
        self.bytes + overhead + self.length(frame, rules) <= bytes.saturating_mul(2)
            && !rules.budget.is_exhausted()
    }

    /// Whether half of its bounds hold one more frame, beside so many, and so many bytes.
    #[cfg(feature = "cluster")]
    pub(crate) fn half_holds(&self, frames: usize, bytes: usize, rules: &OutboxRules) -> bool {
        let bounds = rules.bounds(self.slot);
        frames < bounds.frames / 2 && bytes <= bounds.bytes / 2
    }

    /// Whether it is so near to its bounds that it should be written before the cork ends, and that its
    /// client should not be read from.
    #[inline]
    pub(crate) fn is_half_full(&self, rules: &OutboxRules) -> bool {
        let bounds = rules.bounds(self.slot);
        self.bytes >= bounds.bytes.div_ceil(2) || self.queue.len() >= bounds.frames.div_ceil(2)
    }

    /// Whether the client may be read from: less than half is in use, or as much has left since it was last
    /// read from. Under a policy that drops frames an outbox may stay full for ever, and its client must not
    /// be mute for as long.
    pub(crate) fn allows_reading(&self, rules: &OutboxRules) -> bool {
        let half = u32::try_from(rules.bounds(self.slot).bytes / 2).unwrap_or(u32::MAX);
        !self.is_half_full(rules) || self.left >= half
    }

    /// Whether it is at its bounds or above.
    pub(crate) fn is_full(&self, rules: &OutboxRules) -> bool {
        let bounds = rules.bounds(self.slot);
        self.bytes >= bounds.bytes || self.queue.len() >= bounds.frames
    }

    /// What happens to a frame beyond the bounds.
    pub(crate) fn policy(&self, rules: &OutboxRules) -> SlowConsumer {
        rules.bounds(self.slot).policy
    }
}
