//! What the outboxes of a hub have in common: bounds, compression, and what is counted over all of them.

use tieline_websocket::Deflate;

use super::bounds::{AllBounds, BoundsSlot, OutboxBounds, OwnBounds};
use crate::{
    config::Config,
    hub::{budget::OutboxBudget, counters::Counters, memory},
};

/// The node's budget where the memory of the machine is unknown.
const FALLBACK_BUDGET: usize = 1024 * 1024 * 1024;

/// What the outboxes of a hub have in common.
#[derive(Debug)]
pub(crate) struct OutboxRules {
    pub(super) bounds: AllBounds,
    pub(crate) deflate: Option<Deflate>,
    pub(crate) budget: OutboxBudget,
    pub(crate) counters: Counters,
}

impl OutboxRules {
    pub(crate) fn new(config: &Config) -> Self {
        let budget = config.max_outbox_memory.unwrap_or_else(|| {
            let share = memory::available().map_or(FALLBACK_BUDGET, |memory| memory / 4);
            share.max(config.outbox_bytes)
        });
        Self {
            bounds: AllBounds::new(OutboxBounds::from(config)),
            deflate: config.compression,
            budget: OutboxBudget::new(budget),
            counters: Counters::new(),
        }
    }

    /// The bounds of an outbox.
    #[inline]
    pub(super) fn bounds(&self, slot: BoundsSlot) -> &OutboxBounds {
        self.bounds.at(slot)
    }

    /// Which bounds the outbox of a new connection has.
    pub(crate) fn slot(&self, own: OwnBounds) -> BoundsSlot {
        self.bounds.slot(own)
    }
}
