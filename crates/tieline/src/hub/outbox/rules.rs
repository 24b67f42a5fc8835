//! What the outboxes of a hub have in common: bounds, compression, and what is counted over all of them.

use tieline_websocket::Deflate;

use crate::{
    config::Config,
    hub::{budget::OutboxBudget, counters::Counters, memory},
};

/// The node's budget where the memory of the machine is unknown.
const FALLBACK_BUDGET: usize = 1024 * 1024 * 1024;

/// What the outboxes of a hub have in common.
#[derive(Debug)]
pub(crate) struct OutboxRules {
    /// Maximum number of bytes that wait for one client.
    pub(crate) bytes: usize,
    /// Maximum number of frames that wait for one client.
    pub(crate) frames: usize,
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
            bytes: config.outbox_bytes,
            frames: config.outbox_frames,
            deflate: config.compression,
            budget: OutboxBudget::new(budget),
            counters: Counters::new(),
        }
    }
}
