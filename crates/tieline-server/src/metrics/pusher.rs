//! What is counted of clients of Pusher Channels.
//!
//! Owns the words of the labels. Invariant: all of them are on the page from the beginning, because what begins to
//! count later has no rate at first.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug)]
pub(crate) struct PusherMetrics {
    subscriptions: Family<KindLabel, Gauge>,
    refused: Family<ReasonLabel, Counter>,
    sign_ins: Family<ResultLabel, Counter>,
    events: Family<OutcomeLabel, Counter>,
    /// Those of `events`, in the order of [`EventOutcome`].
    event_counters: [Counter; EventOutcome::NAMES.len()],
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// What became of an event of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventOutcome {
    Relayed,
    Refused,
    /// Refused, because the client sends more than it may.
    TooMany,
}

impl EventOutcome {
    const NAMES: [&'static str; 3] = ["relayed", "refused", "too_many"];
}

const KINDS: [&str; 5] = ["public", "private", "encrypted", "presence", "user"];
const REASONS: [&str; 4] = ["invalid", "unauthorized", "limit", "unavailable"];
const ACCEPTED: &str = "accepted";
const REFUSED: &str = "refused";

impl Default for PusherMetrics {
    fn default() -> Self {
        let (subscriptions, refused) = (Family::default(), Family::default());
        let (sign_ins, events) = (Family::default(), Family::default());
        for kind in KINDS {
            drop(subscriptions.get_or_create(&KindLabel { kind }));
        }
        for reason in REASONS {
            drop(refused.get_or_create(&ReasonLabel { reason }));
        }
        for result in [ACCEPTED, REFUSED] {
            drop(sign_ins.get_or_create(&ResultLabel { result }));
        }
        let counter = |outcome| events.get_or_create_owned(&OutcomeLabel { outcome });
        Self {
            event_counters: EventOutcome::NAMES.map(counter),
            subscriptions,
            refused,
            sign_ins,
            events,
        }
    }
}

impl PusherMetrics {
    /// A client has subscribed to a channel of this kind.
    pub(crate) fn subscribed(&self, kind: &'static str) {
        self.subscriptions.get_or_create(&KindLabel { kind }).inc();
    }

    /// Such a subscription has ended.
    pub(crate) fn unsubscribed(&self, kind: &'static str) {
        self.subscriptions.get_or_create(&KindLabel { kind }).dec();
    }

    /// A client was not subscribed.
    pub(crate) fn subscription_refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// A client has asked to sign in.
    pub(crate) fn sign_in(&self, is_accepted: bool) {
        let result = if is_accepted { ACCEPTED } else { REFUSED };
        self.sign_ins.get_or_create(&ResultLabel { result }).inc();
    }

    /// A client has sent an event.
    pub(crate) fn event(&self, outcome: EventOutcome) {
        self.event_counters[outcome as usize].inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "tieline_pusher_subscriptions",
            "Subscriptions of clients of Pusher Channels, by the kind of the channel",
            self.subscriptions.clone(),
        );
        registry.register(
            "tieline_pusher_subscriptions_refused",
            "Subscriptions that were refused",
            self.refused.clone(),
        );
        registry.register(
            "tieline_pusher_sign_ins",
            "Times that a client asked to sign in",
            self.sign_ins.clone(),
        );
        registry.register(
            "tieline_pusher_client_events",
            "Events of clients, and what became of them",
            self.events.clone(),
        );
    }
}
