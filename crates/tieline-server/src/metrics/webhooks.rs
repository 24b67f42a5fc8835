//! What is counted of the requests to event handlers.
//!
//! Owns the handles of each endpoint, which its owner keeps. Endpoints of the same name, for example before and
//! after a reload, count together.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Seconds: from a handler beside the server to one that nearly misses its deadline.
const BUCKETS: [f64; 13] = [
    0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

#[derive(Debug)]
pub(super) struct Webhooks {
    calls: Family<CallLabels, Counter>,
    retries: Family<EndpointLabel, Counter>,
    open: Family<EndpointLabel, Gauge>,
    times: Family<EndpointLabel, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabel {
    endpoint: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    endpoint: Arc<str>,
    outcome: &'static str,
}

/// How a call has ended, retries included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer of a status below 400.
    Success,
    /// An answer of a status below 500.
    Refused,
    Error,
    Network,
    TooLong,
    Late,
    Down,
    NotAllowed,
}

impl Outcome {
    /// In the order of the variants.
    const NAMES: [&'static str; 8] = [
        "success",
        "refused",
        "error",
        "network",
        "too_long",
        "late",
        "down",
        "not_allowed",
    ];

    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// That of an answer.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            ..400 => Self::Success,
            400..500 => Self::Refused,
            _ => Self::Error,
        }
    }
}

/// The counters of one endpoint.
#[derive(Debug)]
pub(crate) struct EndpointMetrics {
    calls: [Counter; Outcome::NAMES.len()],
    retries: Counter,
    open: Gauge,
    times: Histogram,
}

impl EndpointMetrics {
    /// A call has ended.
    pub(crate) fn called(&self, outcome: Outcome, took: Duration) {
        self.calls[outcome as usize].inc();
        self.times.observe(took.as_secs_f64());
    }

    /// A request is sent again.
    pub(crate) fn retried(&self) {
        self.retries.inc();
    }

    /// The breaker of an endpoint has opened.
    pub(crate) fn opened(&self) {
        self.open.inc();
    }

    /// It has closed, or is gone with its endpoint.
    pub(crate) fn closed(&self) {
        self.open.dec();
    }
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            retries: Family::default(),
            open: Family::default(),
            times: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
        }
    }
}

impl Webhooks {
    pub(super) fn endpoint(&self, endpoint: &str) -> EndpointMetrics {
        let endpoint: Arc<str> = endpoint.into();
        let calls = Outcome::NAMES.map(|outcome| {
            let endpoint = Arc::clone(&endpoint);
            let labels = CallLabels { endpoint, outcome };
            self.calls.get_or_create_owned(&labels)
        });
        let label = EndpointLabel { endpoint };
        EndpointMetrics {
            calls,
            retries: self.retries.get_or_create_owned(&label),
            open: self.open.get_or_create_owned(&label),
            times: self.times.get_or_create_owned(&label),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "tieline_webhook_calls",
            "Requests to event handlers that have ended, each with its retries",
            self.calls.clone(),
        );
        registry.register(
            "tieline_webhook_retries",
            "Requests to event handlers that were sent again",
            self.retries.clone(),
        );
        registry.register(
            "tieline_webhook_breakers_open",
            "Breakers that are open: requests fail at once",
            self.open.clone(),
        );
        registry.register_with_unit(
            "tieline_webhook_call_duration",
            "How long requests to event handlers took, with their retries",
            Unit::Seconds,
            self.times.clone(),
        );
    }
}
