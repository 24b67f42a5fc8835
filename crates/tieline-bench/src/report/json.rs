//! Results as JSON.
//!
//! Every result has `kind` and `version`. Times are whole nanoseconds in fields that end with `_ns`,
//! sizes are bytes in fields that end with `_bytes`; a figure that was not measured is null. The fields:
//!
//! - `measurement`: `scenario`, the load (`urls`, `connections`, `in_flight` or `per_second`, `send`,
//!   `on_open`, `size_bytes`, `binary`, `wire`, `signed` (with tokens), `subprotocol`, `header_names`,
//!   `warm_up_ns`, `duration_ns`, `rounds`; in `rooms` also `room` and `senders`; in `rest` also
//!   `content_type`, `status` and `receiver_url`), `elapsed_ns`, `sent`, `arrived`, `arrived_per_second`,
//!   `latency`, `opening`, `faults`, `processes`, `arrived_per_cpu_second`, `cpu_per_message_ns`,
//!   `resident_per_connection_bytes`, `load_cpu_ns`. Headers are listed without their values, and secrets are
//!   removed from URLs.
//!   In `mixed`, `broadcast` has `send`, `in_flight` or `per_second`, `sent`, `arrived`,
//!   `arrived_per_second` and `latency` of the broadcasts; the fields above are of the messages in pairs,
//!   except that CPU time is of all.
//! - `latency`: `count`, `min_ns`, `mean_ns`, `p50_ns` to `p99_99_ns`, `max_ns`, and `histogram`,
//!   the complete histogram as `HdrHistogram` V2 in base64.
//! - `comparison`: `base_is_floor`, `pairs` of `base`, `server`, `ratios` and `faulty`, and `ratios`
//!   of server to base with `median`, `min` and `max` over the pairs that are not faulty.
//! - `registry`: `registry`, `nodes`, `claims`, `batch`, `in_flight`; `fresh` and `moves` with
//!   `granted`, `failed`, `elapsed_ns`, `per_second` and `latency` per batch.

use std::time::Duration;

use serde_json::{Value, json};

use super::results::Results;
use crate::{
    compare::{Comparison, Pair},
    outcome::{Latency, Outcome, ProcessUse},
    plan::{Pacing, Plan, Scenario},
    registry::{ClaimResult, RegistryOutcome, RegistryPlan},
    url::redact,
};

/// Incremented when a field changes its meaning or is removed, not when one is added.
const VERSION: u32 = 1;

pub(super) fn text(report: &Results) -> String {
    let (kind, mut value) = match report {
        Results::Measurement(outcome) => ("measurement", measurement(outcome)),
        Results::Comparison(found) => ("comparison", comparison(found)),
        Results::Registry(plan, outcome) => ("registry", registry(plan, outcome)),
    };
    value["kind"] = kind.into();
    value["version"] = VERSION.into();
    format!("{value:#}\n")
}

fn measurement(outcome: &Outcome) -> Value {
    let mut value = load(&outcome.plan);
    let found = json!({
        "elapsed_ns": nanos(outcome.elapsed),
        "sent": outcome.sent,
        "arrived": outcome.arrived,
        "arrived_per_second": outcome.per_second(),
        "latency": latency(&outcome.latency),
        "broadcast": broadcast(outcome),
        "opening": {
            "connections": outcome.opening.connections,
            "elapsed_ns": nanos(outcome.opening.elapsed),
        },
        "faults": outcome.faults,
        "processes": outcome.processes.iter().map(|used| process(outcome, used)).collect::<Vec<_>>(),
        "arrived_per_cpu_second": outcome.per_cpu_second(),
        "cpu_per_message_ns": outcome.cpu_micros().map(from_micros),
        "resident_per_connection_bytes": outcome.resident_per_connection().map(f64::round),
        "load_cpu_ns": from_micros(outcome.load_cpu * 1e6),
    });
    if let (Value::Object(value), Value::Object(found)) = (&mut value, found) {
        value.extend(found);
    }
    value
}

fn broadcast(outcome: &Outcome) -> Option<Value> {
    let (plan, found) = (
        outcome.plan.broadcast.as_ref()?,
        outcome.broadcast.as_ref()?,
    );
    let (in_flight, per_second) = pace(plan.pace);
    Some(json!({
        "send": plan.send,
        "in_flight": in_flight,
        "per_second": per_second,
        "sent": found.sent,
        "arrived": found.arrived,
        "arrived_per_second": outcome.broadcasts_per_second(),
        "latency": latency(&found.latency),
    }))
}

fn pace(pace: Pacing) -> (Option<u32>, Option<f64>) {
    match pace {
        Pacing::InFlight(many) => (Some(many), None),
        Pacing::PerSecond(rate) => (None, Some(rate)),
    }
}

fn load(plan: &Plan) -> Value {
    let (in_flight, per_second) = pace(plan.pace);
    let rooms = plan.scenario == Scenario::Rooms;
    let name = |header: &String| header.split(':').next().map(str::to_owned);
    json!({
        "scenario": plan.scenario,
        "urls": plan.urls.iter().map(|url| redact(url)).collect::<Vec<_>>(),
        "connections": plan.connections,
        "in_flight": in_flight,
        "per_second": per_second,
        "send": plan.send,
        "on_open": plan.on_open,
        "size_bytes": plan.size,
        "binary": plan.binary,
        "wire": plan.wire,
        "content_type": plan.request.as_ref().map(|request| &request.content_type),
        "status": plan.request.as_ref().map(|request| request.status),
        "receiver_url": plan.receiver_url().map(|url| redact(url)),
        "signed": plan.token_key.is_some(),
        "subprotocol": plan.subprotocol,
        "header_names": plan.headers.iter().filter_map(name).collect::<Vec<_>>(),
        "warm_up_ns": nanos(plan.warm_up),
        "duration_ns": nanos(plan.duration),
        "rounds": plan.rounds,
        "room": rooms.then_some(plan.room),
        "senders": rooms.then_some(plan.senders),
    })
}

fn process(outcome: &Outcome, used: &ProcessUse) -> Value {
    json!({
        "pid": used.pid,
        "name": used.name,
        "resident_first_bytes": used.resident_first,
        "resident_open_bytes": used.resident_open,
        "resident_end_bytes": used.resident_end,
        "resident_per_connection_bytes": outcome.resident_of(used).map(f64::round),
        "cpu_ns": from_micros(used.cpu * 1e6),
        "cpu_per_message_ns": outcome.cpu_micros_of(used).map(from_micros),
    })
}

fn latency(latency: &Latency) -> Value {
    let histogram = &latency.0;
    let at = |percent: f64| nanos(latency.percentile(percent));
    json!({
        "count": histogram.len(),
        "min_ns": histogram.min(),
        "mean_ns": from_micros(histogram.mean() / 1e3),
        "p50_ns": at(50.0),
        "p90_ns": at(90.0),
        "p99_ns": at(99.0),
        "p99_9_ns": at(99.9),
        "p99_99_ns": at(99.99),
        "max_ns": histogram.max(),
        "histogram": latency,
    })
}

fn comparison(found: &Comparison) -> Value {
    json!({
        "base_is_floor": found.base_is_floor,
        "pairs": found.pairs.iter().map(pair).collect::<Vec<_>>(),
        "ratios": found.ratios(),
    })
}

fn pair(pair: &Pair) -> Value {
    json!({
        "base": measurement(&pair.base),
        "server": measurement(&pair.server),
        "ratios": pair.ratios(),
        "faulty": pair.is_faulty(),
    })
}

fn registry(plan: &RegistryPlan, outcome: &RegistryOutcome) -> Value {
    json!({
        "registry": outcome.registry,
        "nodes": plan.nodes,
        "claims": plan.claims,
        "batch": outcome.batch,
        "in_flight": outcome.in_flight,
        "fresh": claims(&outcome.fresh),
        "moves": claims(&outcome.moves),
    })
}

fn claims(claims: &ClaimResult) -> Value {
    json!({
        "granted": claims.granted,
        "failed": claims.failed,
        "elapsed_ns": nanos(claims.elapsed),
        "per_second": claims.per_second(),
        "latency": latency(&claims.latency),
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Whole nanoseconds; negative values become zero.
fn from_micros(micros: f64) -> u64 {
    nanos(Duration::try_from_secs_f64(micros / 1e6).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn written(report: &Results) -> Value {
        serde_json::from_str(&text(report)).unwrap()
    }

    #[test]
    fn a_measurement_has_whole_nanoseconds_and_its_histogram() {
        let mut outcome = sample::outcome();
        outcome.plan.headers = vec!["Authorization: hunter2".into()];
        outcome.plan.urls = vec!["ws://h/?token=hunter2".into()];
        let histogram = outcome.latency.0.clone();
        let value = written(&Results::Measurement(outcome.into()));
        assert!(!value.to_string().contains("hunter2"));
        assert_eq!(value["kind"], "measurement");
        assert_eq!(
            (&value["scenario"], &value["elapsed_ns"]),
            (&json!("echo"), &json!(5_000_000_000_u64))
        );
        assert_eq!(value["arrived_per_cpu_second"], 125_000.0);
        assert_eq!(value["processes"][0]["cpu_per_message_ns"], 8_000);
        assert_eq!(value["resident_per_connection_bytes"], 1_200.0);
        assert_eq!(value["header_names"], json!(["Authorization"]));
        let back: Latency = serde_json::from_value(value["latency"]["histogram"].clone()).unwrap();
        assert_eq!(back.0, histogram);
    }

    #[test]
    fn a_comparison_has_its_pairs_and_ratios() {
        let pair = Pair {
            base: sample::outcome(),
            server: sample::outcome(),
        };
        let value = written(&Results::Comparison(Comparison {
            base_is_floor: false,
            pairs: vec![pair],
        }));
        assert_eq!(value["ratios"]["per_second"]["median"], 1.0);
        assert_eq!(value["pairs"][0]["ratios"]["p99_9"], 1.0);
        assert_eq!(value["pairs"][0]["faulty"], false);
    }
}
