//! What a request wants to know of channels.
//!
//! Owns the words for it, and what applies to which channel. Must not know where it is asked.

use crate::wire::pusher::channel::{Channel, ChannelKind};

/// What is asked for: the words of `info`, which are separated by commas. Others are ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Info {
    /// Of a presence channel.
    pub(super) user_count: bool,
    pub(super) subscription_count: bool,
    /// How many connections took an event.
    pub(super) delivered: bool,
}

impl Info {
    pub(super) fn parse(words: &str) -> Self {
        let has = |wanted| asks(words, wanted);
        Self {
            user_count: has("user_count"),
            subscription_count: has("subscription_count"),
            delivered: has("delivered"),
        }
    }

    /// That part which applies to a channel.
    pub(super) fn of(self, channel: Channel<'_>) -> Self {
        Self {
            user_count: self.user_count && channel.kind() == ChannelKind::Presence,
            ..self
        }
    }
}

/// Whether this is among the words.
pub(super) fn asks(words: &str, wanted: &str) -> bool {
    words.split(',').any(|word| word.trim() == wanted)
}
