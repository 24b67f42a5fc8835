//! How much may wait for one client, and what happens beyond.
//!
//! Owns the bounds of a hub's outboxes: those of the configuration, and others that upgrades chose. Must not know
//! what is queued. Invariants: an outbox names its bounds by a byte, so that a connection with bounds of its own takes
//! no more memory than others; bounds that an outbox names stay as they are.

use std::sync::{Once, OnceLock};

use crate::config::{Config, SlowConsumer};

/// Different bounds that a hub keeps, beside those of the configuration.
const KEPT: usize = u8::MAX as usize;

/// How much may wait for one client, and what happens beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutboxBounds {
    pub(crate) bytes: usize,
    pub(crate) frames: usize,
    pub(crate) policy: SlowConsumer,
}

/// What an upgrade says about the bounds of its connection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OwnBounds {
    pub(crate) bytes: Option<usize>,
    pub(crate) frames: Option<usize>,
    pub(crate) policy: Option<SlowConsumer>,
}

/// Which bounds an outbox has. 0: those of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BoundsSlot(u8);

/// All bounds of the outboxes of a hub.
#[derive(Debug)]
pub(super) struct AllBounds {
    configured: OutboxBounds,
    /// Filled from the front.
    kept: Box<[OnceLock<OutboxBounds>]>,
    /// That no more are kept is said once.
    full: Once,
}

impl AllBounds {
    pub(super) fn new(configured: OutboxBounds) -> Self {
        let kept = std::iter::repeat_with(OnceLock::new).take(KEPT).collect();
        Self {
            configured,
            kept,
            full: Once::new(),
        }
    }

    #[inline]
    pub(super) fn at(&self, slot: BoundsSlot) -> &OutboxBounds {
        match slot.0.checked_sub(1) {
            None => &self.configured,
            Some(place) => self.kept[usize::from(place)]
                .get()
                .unwrap_or(&self.configured),
        }
    }

    /// Where the bounds of a new connection are, which cannot exceed those of the configuration. Without room for
    /// them, those of the configuration.
    pub(super) fn slot(&self, own: OwnBounds) -> BoundsSlot {
        let configured = self.configured;
        let least = |own: Option<usize>, most: usize| own.map_or(most, |own| own.clamp(1, most));
        let wanted = OutboxBounds {
            bytes: least(own.bytes, configured.bytes),
            frames: least(own.frames, configured.frames),
            policy: own.policy.unwrap_or(configured.policy),
        };
        if wanted == configured {
            return BoundsSlot::default();
        }
        let mut kept = self.kept.iter();
        let place = kept.position(|place| *place.get_or_init(|| wanted) == wanted);
        let slot = place.and_then(|place| u8::try_from(place + 1).ok());
        slot.map_or_else(
            || {
                self.full.call_once(|| {
                    tracing::warn!("upgrades choose too many different bounds of outboxes; further ones are those of the configuration");
                });
                BoundsSlot::default()
            },
            BoundsSlot,
        )
    }
}

impl From<&Config> for OutboxBounds {
    fn from(config: &Config) -> Self {
        Self {
            bytes: config.outbox_bytes,
            frames: config.outbox_frames,
            policy: config.slow_consumer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(bytes: usize) -> OwnBounds {
        OwnBounds {
            bytes: Some(bytes),
            ..OwnBounds::default()
        }
    }

    fn all() -> AllBounds {
        AllBounds::new(OutboxBounds::from(&Config::default()))
    }

    #[test]
    fn connections_that_choose_the_same_share_it() {
        let all = all();
        let slot = all.slot(own(1000));
        assert_eq!(all.slot(own(1000)), slot);
        assert_ne!(all.slot(own(2000)), slot);
        let frames = Config::default().outbox_frames;
        let bounds = all.at(slot);
        assert_eq!((bounds.bytes, bounds.frames), (1000, frames));
    }

    #[test]
    fn nobody_exceeds_the_configuration_or_has_no_room_at_all() {
        let all = all();
        assert_eq!(all.slot(OwnBounds::default()), BoundsSlot::default());
        assert_eq!(all.slot(own(usize::MAX)), BoundsSlot::default());
        assert_eq!(all.at(all.slot(own(0))).bytes, 1);
    }

    #[test]
    fn more_than_are_kept_have_those_of_the_configuration() {
        let all = all();
        let slots: Vec<_> = (1..=KEPT).map(|bytes| all.slot(own(bytes))).collect();
        for (slot, bytes) in slots.iter().zip(1..) {
            assert_eq!(all.at(*slot).bytes, bytes);
        }
        assert_eq!(all.slot(own(KEPT + 1)), BoundsSlot::default());
        assert_eq!(all.slot(own(KEPT)), slots[KEPT - 1]);
    }
}
