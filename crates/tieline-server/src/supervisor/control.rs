//! What operators learn of the process by any node, and do with it.
//!
//! Owns the words for its phases. Must not know who asks.

use tokio::sync::watch;

use super::phase::{DrainHandle, ServingPhase};
use crate::{
    app::inspection::{NodeControl, reports::HandlerReport},
    wire::{pusher::webhooks::LiveWebhooks, webpubsub::upstream::LiveHandlers},
};

/// The control of a node.
pub(super) struct Control {
    phase: watch::Receiver<ServingPhase>,
    drain: DrainHandle,
    /// `None` for an application that is part of the process.
    handlers: Option<LiveHandlers>,
    webhooks: Option<LiveWebhooks>,
}

impl Control {
    pub(super) fn new(
        phase: watch::Receiver<ServingPhase>,
        drain: DrainHandle,
        handlers: Option<LiveHandlers>,
    ) -> Self {
        Self {
            phase,
            drain,
            handlers,
            webhooks: None,
        }
    }

    /// Reports these webhooks too.
    pub(super) fn with_webhooks(self, webhooks: LiveWebhooks) -> Self {
        Self {
            webhooks: Some(webhooks),
            ..self
        }
    }

    pub(super) fn phase(&self) -> watch::Receiver<ServingPhase> {
        self.phase.clone()
    }
}

impl NodeControl for Control {
    fn phase(&self) -> &'static str {
        match *self.phase.borrow() {
            ServingPhase::Serving => "serving",
            ServingPhase::DrainDelay => "drain_delay",
            ServingPhase::Draining => "draining",
        }
    }

    fn handlers(&self) -> Vec<HandlerReport> {
        let handlers = self.handlers.as_ref().map(LiveHandlers::report);
        let webhooks = self.webhooks.as_ref().map(LiveWebhooks::report);
        handlers.into_iter().chain(webhooks).flatten().collect()
    }

    fn drain(&self) {
        self.drain.start();
    }
}
