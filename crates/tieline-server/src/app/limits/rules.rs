//! The limits of a hub, from its settings and those of the node.
//!
//! Plain values. Must not know what has been used.

use std::time::Duration;

use tieline::{Accept, SlowConsumer};

use super::{bucket::Rate, counts::Scope, requests::RequestLimits};
use crate::config::sections::{
    hub::HubSettings,
    limits::{ConnectExcess, ExcessPolicy, Limits},
};

/// What clients of a hub may do, alone and together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HubLimits {
    client: ScopeLimits,
    user: ScopeLimits,
    address: ScopeLimits,
    hub: ScopeLimits,
    pub(super) connect_excess: ConnectExcess,
    pub(super) rate_excess: ExcessPolicy,
    /// The largest message, if it is less than that of the node.
    pub(crate) message_size: Option<usize>,
    /// The most groups that a client may join, if that is less than for the node.
    pub(crate) groups: Option<usize>,
    outbox: OutboxLimits,
    pub(crate) requests: RequestLimits,
}

/// How much may wait for a client, where that is not what the node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OutboxLimits {
    bytes: Option<usize>,
    frames: Option<usize>,
    policy: Option<SlowConsumer>,
}

/// What those may do together who share a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ScopeLimits {
    pub(super) connections: Option<usize>,
    pub(super) connects: Option<Rate>,
    pub(super) messages: Option<Rate>,
    pub(super) bytes: Option<Rate>,
}

impl HubLimits {
    pub(crate) fn new(node: &Limits, hub: &HubSettings) -> Self {
        let connects = |per_second| Rate::of(per_second, node.connect_burst);
        let messages = |per_second| Rate::of(per_second, node.rate_burst);
        Self {
            client: ScopeLimits {
                messages: messages(hub.max_message_rate_per_client.or(node.max_message_rate)),
                bytes: messages(
                    hub.max_byte_rate_per_client
                        .or(node.max_byte_rate)
                        .map(|it| it.0),
                ),
                ..ScopeLimits::default()
            },
            user: ScopeLimits {
                connections: hub.max_connections_per_user,
                connects: connects(hub.max_connect_rate_per_user),
                messages: messages(hub.max_message_rate_per_user),
                bytes: messages(hub.max_byte_rate_per_user.map(|it| it.0)),
            },
            address: ScopeLimits {
                connections: node.max_connections_per_address,
                connects: connects(node.max_connect_rate_per_address),
                messages: messages(node.max_message_rate_per_address),
                bytes: messages(node.max_byte_rate_per_address.map(|it| it.0)),
            },
            hub: ScopeLimits {
                connections: hub.max_connections,
                connects: connects(hub.max_connect_rate),
                messages: messages(hub.max_message_rate),
                bytes: messages(hub.max_byte_rate.map(|it| it.0)),
            },
            connect_excess: node.connect_excess,
            rate_excess: hub.rate_excess.unwrap_or(node.rate_excess),
            message_size: hub.max_message.map(|size| size.0),
            groups: hub.max_groups,
            outbox: OutboxLimits {
                bytes: hub.max_outbox.map(|size| size.0),
                frames: hub.max_outbox_frames,
                policy: hub.slow_consumer.map(SlowConsumer::from),
            },
            requests: RequestLimits {
                hub: Rate::of(hub.max_request_rate, node.rate_burst),
                failed: Rate::of(
                    node.max_unauthorized_request_rate_per_address,
                    node.connect_burst,
                ),
                burst: node.rate_burst,
            },
        }
    }

    /// A client that may hold as much as the hub says.
    pub(super) fn apply_to<S>(&self, mut accept: Accept<S>) -> Accept<S> {
        if let Some(size) = self.message_size {
            accept = accept.message_size(size);
        }
        if let Some(bytes) = self.outbox.bytes {
            accept = accept.outbox_bytes(bytes);
        }
        if let Some(frames) = self.outbox.frames {
            accept = accept.outbox_frames(frames);
        }
        if let Some(policy) = self.outbox.policy {
            accept = accept.slow_consumer(policy);
        }
        accept
    }

    pub(super) fn of(&self, scope: Scope) -> &ScopeLimits {
        match scope {
            Scope::Client => &self.client,
            Scope::User => &self.user,
            Scope::Address => &self.address,
            Scope::Hub => &self.hub,
        }
    }

    /// Whether what a client sends is counted.
    pub(super) fn has_rates(&self) -> bool {
        let scopes = [&self.client, &self.user, &self.address, &self.hub];
        scopes
            .iter()
            .any(|it| it.messages.is_some() || it.bytes.is_some())
    }

    /// Whether a client can send its largest message in the time that it has, if nobody else sends. Otherwise which
    /// scope is too slow.
    pub(crate) fn check(&self, largest: usize, time: Duration) -> Result<(), Scope> {
        let largest = self.message_size.map_or(largest, |own| own.min(largest));
        let needed = |rate: Rate| {
            largest as u128 * 1000 > u128::from(rate.per_second.get()) * time.as_millis()
        };
        let scopes = [Scope::Client, Scope::User, Scope::Address, Scope::Hub];
        let slow = scopes
            .into_iter()
            .find(|scope| self.of(*scope).bytes.is_some_and(needed));
        slow.map_or(Ok(()), Err)
    }
}

impl ScopeLimits {
    /// Whether there is anything to count.
    pub(super) fn is_limited(&self) -> bool {
        *self != Self::default()
    }
}
