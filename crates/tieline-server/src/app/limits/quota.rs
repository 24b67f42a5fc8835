//! What a connected client uses up, of its own limits and of those that it shares.
//!
//! Owns what happens to what is too much, and its count. Must not know messages. Invariants: lives as long as the
//! connection, whose places it holds; it has the limits that were in force when the client connected.

use std::{sync::Arc, time::Duration};

use tieline::{Excess, InboundLimit, InboundVerdict};
use tokio::time::Instant;

use super::{
    bucket::{Bucket, Rate, Taken},
    counts::{Action, Limited, Scope},
    quotas::{Quotas, Who},
    rules::HubLimits,
    slow_downs::{SlowDownCell, SlowDowns},
    table::Place,
};
use crate::config::sections::limits::ExcessPolicy;

/// The longest time that what a client has sent waits. What all who share a limit have sent may take longer: then
/// the limit is not kept, so that nobody stands still.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct Quota {
    quotas: Arc<Quotas>,
    limits: Arc<HubLimits>,
    who: Who,
    places: Box<[(Scope, Place)]>,
    own_messages: Bucket,
    own_bytes: Bucket,
    slowed: SlowDownCell,
}

impl Quota {
    pub(super) fn new(
        quotas: Arc<Quotas>,
        limits: Arc<HubLimits>,
        who: Who,
        places: Vec<(Scope, Place)>,
    ) -> Self {
        Self {
            quotas,
            limits,
            who,
            places: places.into(),
            own_messages: Bucket::default(),
            own_bytes: Bucket::default(),
            slowed: SlowDownCell::default(),
        }
    }

    /// How the client was slowed down; `None` if it never was.
    pub(crate) fn slow_downs(&self) -> Option<SlowDowns> {
        self.slowed.get()
    }

    /// What is limited, each with its bucket.
    fn buckets(&self) -> impl Iterator<Item = (Scope, Limited, Rate, &Bucket)> {
        let own = (Scope::Client, &self.own_messages, &self.own_bytes);
        let shared = self.places.iter().map(|(scope, place)| {
            let usage = place.usage();
            (*scope, &usage.messages, &usage.bytes)
        });
        let scopes = std::iter::once(own).chain(shared);
        scopes.flat_map(|(scope, messages, bytes)| {
            let limits = self.limits.of(scope);
            let messages = (Limited::Messages, limits.messages, messages);
            let bytes = (Limited::Bytes, limits.bytes, bytes);
            let both = [messages, bytes].into_iter();
            both.filter_map(move |(limited, rate, bucket)| Some((scope, limited, rate?, bucket)))
        })
    }
}

impl InboundLimit for Quota {
    fn take(&self, messages: usize, bytes: usize) -> InboundVerdict {
        let now = Instant::now();
        let (policy, longest, action) = match self.limits.rate_excess {
            ExcessPolicy::SlowDown => (Excess::SlowDown, LONGEST_WAIT, Action::SlowedDown),
            ExcessPolicy::Refuse => (Excess::Ask, Duration::ZERO, Action::Refused),
            ExcessPolicy::Close => (Excess::Close, Duration::ZERO, Action::Closed),
        };
        let (mut first, mut wait) = (None, Duration::ZERO);
        for (scope, limited, rate, bucket) in self.buckets() {
            let amount = match limited {
                Limited::Messages => messages,
                _ => bytes,
            };
            if amount == 0 {
                continue;
            }
            match bucket.take(amount, rate, longest, now) {
                Taken::Now => {}
                Taken::After(time) | Taken::Refused(time) => {
                    first.get_or_insert((scope, limited));
                    wait = wait.max(time.min(LONGEST_WAIT));
                }
            }
        }
        let Some((scope, limited)) = first else {
            return InboundVerdict::Within;
        };
        // The end of a message decides about it.
        if messages > 0 || policy != Excess::Ask {
            self.quotas.counts.count(scope, limited, action, &self.who);
        }
        if policy == Excess::SlowDown {
            self.slowed.add(scope, limited, now, wait);
        }
        InboundVerdict::Excess { policy, wait }
    }
}
