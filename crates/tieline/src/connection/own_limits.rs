//! The limits of one connection, where they are not simply those of its hub.
//!
//! Owns which apply: those that the upgrade set, or else those of the configuration. Must not know what happens beyond
//! them. Invariant: a connection without limits of its own, whose messages nobody counts, has none of this.

use std::sync::Arc;

use tieline_websocket::Limits;

use super::meter::Meter;
use crate::{
    config::Config,
    hub::OwnBounds,
    inbound::{Inbound, InboundLimit},
};

/// What an upgrade says about the limits of its connection.
#[derive(Debug, Default)]
pub(crate) struct ClientLimits {
    pub(crate) message_size: Option<usize>,
    pub(crate) inbound: Option<Inbound>,
    pub(crate) shared: Option<Arc<dyn InboundLimit>>,
    /// Which the hub keeps.
    pub(crate) outbox: OwnBounds,
}

pub(crate) struct OwnLimits {
    /// Of messages, if they are not those of the hub.
    pub(super) message: Option<Limits>,
    /// If what the client sends is measured.
    pub(super) meter: Option<Meter>,
}

impl ClientLimits {
    /// The limits of a connection; `None` if it has those of the hub, and nothing is measured.
    pub(crate) fn for_connection(self, config: &Config) -> Option<Box<OwnLimits>> {
        let hub = config.limits();
        let message = self.message_size.map(|size| Limits {
            message: size.min(hub.message),
            ..hub
        });
        let inbound = self.inbound.as_ref().unwrap_or(&config.inbound);
        let meter = Meter::new(inbound, self.shared);
        (message.is_some() || meter.is_some()).then(|| Box::new(OwnLimits { message, meter }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `Inbound` says.
    #[test]
    fn own_limits_take_160_bytes() {
        let size = size_of::<OwnLimits>();
        assert!(size <= 160, "{size} bytes");
    }
}
