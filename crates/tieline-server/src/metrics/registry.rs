//! What is counted of the requests to the registry.
//!
//! Owns the handles of each operation. Must not know what is asked for. A node without a registry has none of them.

use std::time::Instant;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Seconds: from a server in the same rack to the deadline of most requests, and beyond it for lists.
const BUCKETS: [f64; 13] = [
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

#[derive(Debug)]
pub(super) struct RegistryFamilies {
    requests: Family<RequestLabels, Counter>,
    times: Family<OperationLabel, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    result: &'static str,
}

/// The counters of one operation.
#[derive(Debug)]
pub(crate) struct OperationMetrics {
    answered: Counter,
    failed: Counter,
    /// Given up before there was an answer.
    late: Counter,
    times: Histogram,
}

/// Counts a request when it ends, however it does.
#[derive(Debug)]
pub(crate) struct RequestTimer<'a> {
    metrics: &'a OperationMetrics,
    start: Instant,
    ended: bool,
}

impl OperationMetrics {
    /// A request begins.
    pub(crate) fn start(&self) -> RequestTimer<'_> {
        RequestTimer {
            metrics: self,
            start: Instant::now(),
            ended: false,
        }
    }
}

impl RequestTimer<'_> {
    /// The registry has answered, or said why it does not.
    pub(crate) fn ended(mut self, is_answered: bool) {
        self.ended = true;
        if is_answered {
            self.metrics.answered.inc();
        } else {
            self.metrics.failed.inc();
        }
    }
}

impl Drop for RequestTimer<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.metrics.late.inc();
        }
        let took = self.start.elapsed();
        self.metrics.times.observe(took.as_secs_f64());
    }
}

impl Default for RegistryFamilies {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            times: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
        }
    }
}

impl RegistryFamilies {
    pub(super) fn operation(&self, operation: &'static str) -> OperationMetrics {
        let requests = |result| {
            let labels = RequestLabels { operation, result };
            self.requests.get_or_create_owned(&labels)
        };
        OperationMetrics {
            answered: requests("answered"),
            failed: requests("failed"),
            late: requests("late"),
            times: self
                .times
                .get_or_create_owned(&OperationLabel { operation }),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "tieline_registry_requests",
            "Requests to the registry that have ended",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "tieline_registry_request_duration",
            "How long requests to the registry took",
            Unit::Seconds,
            self.times.clone(),
        );
    }
}
