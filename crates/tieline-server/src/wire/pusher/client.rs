//! The state of a client's connection.
//!
//! Owns its app and hub, which never change, and its subscriptions. Invariant: the subscriptions are the groups that
//! the connection is in, because nobody else changes these.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::Instant;

use super::{
    channel::Channel,
    occupant::Occupant,
    presence::{Membership, SignedIn},
    service::Place,
};
use crate::{
    app::{
        hubs::HubHandle,
        limits::bucket::{Bucket, Rate, Taken},
    },
    metrics::METRICS,
};

/// The state of a client's connection.
pub(crate) struct Client {
    pub(super) place: Place,
    pub(super) hub: HubHandle,
    pub(super) subscriptions: Subscriptions,
    /// Who has signed in.
    pub(super) user: Option<Box<SignedIn>>,
    /// What it may still send to others.
    events: Bucket,
    pub(super) protocol: Protocol,
}

impl Client {
    pub(super) fn new(place: Place, hub: HubHandle, protocol: Protocol) -> Self {
        Self {
            place,
            hub,
            subscriptions: Subscriptions::default(),
            user: None,
            events: Bucket::default(),
            protocol,
        }
    }

    /// Whether it may send another event, of so many per second.
    pub(super) fn may_send_event(&self, per_second: u32) -> bool {
        let rate = NonZeroU32::new(per_second).map(|per_second| Rate {
            per_second,
            burst: Duration::from_secs(1),
        });
        let now = Instant::now();
        rate.is_some_and(|rate| self.events.take(1, rate, Duration::ZERO, now) == Taken::Now)
    }
}

/// The version of the protocol, of those that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    V4,
    V5,
    V6,
    V7,
}

impl Protocol {
    pub(super) fn parse(number: &str) -> Option<Self> {
        Some(match number {
            "4" => Self::V4,
            "5" => Self::V5,
            "6" => Self::V6,
            "7" => Self::V7,
            _ => return None,
        })
    }

    /// What metrics call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V4 => "protocol_4",
            Self::V5 => "protocol_5",
            Self::V6 => "protocol_6",
            Self::V7 => "protocol_7",
        }
    }
}

/// A channel that a client is subscribed to, and what others learn of that. Most clients have one, in one block.
#[derive(Debug)]
pub(super) enum Subscription {
    /// Who it is, on a presence channel.
    Member(Membership),
    Other {
        channel: Box<str>,
        /// That it is there, if anybody wants to know.
        occupant: Option<Box<Occupant>>,
    },
}

impl Subscription {
    pub(super) fn of_member(membership: Membership) -> Self {
        Self::Member(membership).counted()
    }

    pub(super) fn of(channel: &str, occupant: Option<Box<Occupant>>) -> Self {
        let channel = channel.into();
        Self::Other { channel, occupant }.counted()
    }

    fn counted(self) -> Self {
        let kind = Channel::kind_name(self.channel());
        METRICS.pusher().subscribed(kind);
        self
    }

    fn channel(&self) -> &str {
        match self {
            Self::Member(member) => member.channel(),
            Self::Other { channel, .. } => channel,
        }
    }

    /// Who it is, on a presence channel.
    pub(super) fn member(&self) -> Option<&str> {
        match self {
            Self::Member(member) => Some(member.user()),
            Self::Other { .. } => None,
        }
    }

    /// Ends it because the client has unsubscribed.
    pub(super) fn leave(mut self) {
        match &mut self {
            Self::Member(member) => member.leave(),
            Self::Other { occupant, .. } => {
                if let Some(occupant) = occupant.take() {
                    occupant.leave();
                }
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let kind = Channel::kind_name(self.channel());
        METRICS.pusher().unsubscribed(kind);
    }
}

/// The channels that a client is subscribed to, in order. Most have few: a list takes least.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Vec<Subscription>);

impl Subscriptions {
    pub(super) fn get(&self, channel: &str) -> Option<&Subscription> {
        self.0.get(self.place(channel).ok()?)
    }

    /// Adds one. The client is not subscribed to this channel.
    pub(super) fn add(&mut self, subscription: Subscription) {
        let place = self.place(subscription.channel());
        let place = place.unwrap_or_else(|place| place);
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact((self.0.len() / 2).max(1));
        }
        self.0.insert(place, subscription);
    }

    pub(super) fn remove(&mut self, channel: &str) -> Option<Subscription> {
        let place = self.place(channel).ok()?;
        Some(self.0.remove(place))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn place(&self, channel: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|own| own.channel().cmp(channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_found_and_one_takes_no_room_for_more() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.add(Subscription::of("b", None));
        assert_eq!(subscriptions.0.capacity(), 1);
        subscriptions.add(Subscription::of("a", None));
        subscriptions.add(Subscription::of("c", None));
        for channel in ["a", "b", "c"] {
            let found = subscriptions.get(channel).unwrap();
            assert_eq!(found.channel(), channel);
        }
        assert!(subscriptions.get("d").is_none());
        assert!(subscriptions.remove("b").is_some() && subscriptions.remove("b").is_none());
        assert_eq!(subscriptions.len(), 2);
    }

    #[test]
    fn a_client_without_subscriptions_takes_little() {
        let size = size_of::<Client>();
        assert!(size <= 72, "{size} bytes");
        assert_eq!(size_of::<Subscription>(), 48);
    }
}
