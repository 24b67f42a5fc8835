//! Plans and outcomes in words, for the table and the page.
//!
//! Owns the terms that both use. Must not know columns or markup: it returns plain text, which the page
//! escapes.

use crate::{
    format::{bytes, float, micros, none, number, plural, setting},
    outcome::{Faults, Outcome},
    plan::{Pacing, Plan, Scenario, Wire},
};

/// The meaning of the latency.
pub(crate) fn latency(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Idle | Scenario::Storm | Scenario::Churn => "handshake",
        Scenario::Echo => "round trip",
        Scenario::Rest => "response",
        Scenario::Broadcast | Scenario::Direct | Scenario::Rooms | Scenario::Mixed => "latency",
    }
}

/// What the scenario counts.
pub(crate) fn units(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Idle | Scenario::Storm | Scenario::Churn => "connections",
        Scenario::Echo
        | Scenario::Broadcast
        | Scenario::Direct
        | Scenario::Rooms
        | Scenario::Mixed => "messages",
        Scenario::Rest => "requests",
    }
}

/// Whether the scenario sends messages or requests at a pace.
pub(crate) fn sends(scenario: Scenario) -> bool {
    units(scenario) != "connections"
}

/// The same in the singular.
pub(crate) fn unit(scenario: Scenario) -> &'static str {
    units(scenario).trim_end_matches('s')
}

/// The rate, unless the scenario has none.
pub(crate) fn rate(outcome: &Outcome) -> String {
    match outcome.plan.scenario {
        Scenario::Idle => none(),
        _ => number(outcome.per_second()),
    }
}

/// The rate per second of the server's CPU time, if it was measured.
pub(crate) fn per_cpu_second(outcome: &Outcome) -> Option<String> {
    outcome.per_cpu_second().map(number)
}

pub(crate) fn scenario(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Idle => "idle",
        Scenario::Echo => "echo",
        Scenario::Broadcast => "broadcast",
        Scenario::Direct => "direct",
        Scenario::Mixed => "mixed",
        Scenario::Rooms => "rooms",
        Scenario::Storm => "storm",
        Scenario::Churn => "churn",
        Scenario::Rest => "rest",
    }
}

/// The parameters of a load, the most important first.
pub(crate) fn parameters(plan: &Plan) -> Vec<String> {
    let mut parts = vec![format!(
        "{} connections",
        number(float(plan.connections as u64))
    )];
    if plan.scenario == Scenario::Rooms {
        parts.push(rooms(plan));
    }
    match plan.wire {
        Wire::Bare => {}
        Wire::Json => parts.push("JSON".into()),
        Wire::Pusher => parts.push("Pusher".into()),
    }
    if sends(plan.scenario) {
        let kind = if plan.binary { " binary" } else { "" };
        parts.push(pace(plan.pace));
        parts.push(format!("{}{kind} bytes", number(float(plan.size as u64))));
    }
    if let Some(broadcast) = &plan.broadcast {
        parts.push(format!("broadcasts: {}", pace(broadcast.pace)));
    }
    match plan.scenario {
        Scenario::Churn => parts.push(pace(plan.pace)),
        Scenario::Storm => parts.push(format!("{} rounds", plan.rounds)),
        _ => {}
    }
    if plan.scenario != Scenario::Storm {
        parts.push(setting(plan.duration));
    }
    parts
}

fn rooms(plan: &Plan) -> String {
    let senders = match plan.senders {
        all if all >= plan.room => String::new(),
        senders => format!(", {senders} of them sending"),
    };
    format!("rooms of {}{senders}", number(float(plan.room as u64)))
}

fn pace(pace: Pacing) -> String {
    match pace {
        Pacing::InFlight(many) => format!("{many} in flight"),
        Pacing::PerSecond(rate) => format!("open loop at {}/s", number(rate)),
    }
}

/// The faults, or "none".
pub(crate) fn faults(faults: &Faults) -> String {
    let kinds = [
        (faults.not_opened, "could not be opened"),
        (faults.ended, "ended early"),
    ];
    let mut parts: Vec<_> = kinds
        .iter()
        .filter(|(many, _)| *many > 0)
        .map(|(many, what)| format!("{} {what}", plural(*many, "connection")))
        .collect();
    let messages = [
        (faults.unexpected, "came back otherwise than expected"),
        (faults.lost, "did not arrive"),
        (faults.misdelivered, "arrived at the wrong connection"),
        (faults.repeated, "arrived more than once"),
    ];
    let messages = messages.iter().filter(|(many, _)| *many > 0);
    parts.extend(messages.map(|(many, what)| format!("{} {what}", plural(*many, "message"))));
    match (parts.is_empty(), faults.any()) {
        (true, false) => "none".into(),
        (true, true) => "others, see below".into(),
        (false, _) => parts.join(", "),
    }
}

/// A row for each process of a server: name, memory per connection, CPU time per message, memory at the
/// end, CPU utilization.
pub(crate) fn processes(outcome: &Outcome) -> Vec<[String; 5]> {
    let rows = outcome.processes.iter().map(|used| {
        [
            format!("{} ({})", used.name, used.pid),
            outcome.resident_of(used).map_or_else(none, bytes),
            outcome.cpu_micros_of(used).map_or_else(none, micros),
            resident(outcome, used.resident_open, used.resident_end),
            busy(outcome, used.cpu),
        ]
    });
    let mut rows: Vec<_> = rows.collect();
    if rows.len() > 1 {
        let used = &outcome.processes;
        rows.push([
            "all".into(),
            outcome.resident_per_connection().map_or_else(none, bytes),
            outcome.cpu_micros().map_or_else(none, micros),
            resident(
                outcome,
                used.iter().map(|used| used.resident_open).sum(),
                used.iter().map(|used| used.resident_end).sum(),
            ),
            busy(outcome, used.iter().map(|used| used.cpu).sum()),
        ]);
    }
    rows
}

/// Memory at the end; for a storm, memory before and after.
fn resident(outcome: &Outcome, open: u64, end: u64) -> String {
    let end = bytes(float(end));
    match outcome.plan.scenario {
        Scenario::Storm => format!("{} → {end}", bytes(float(open))),
        _ => end,
    }
}

fn busy(outcome: &Outcome, cpu: f64) -> String {
    let elapsed = outcome.elapsed.as_secs_f64().max(1e-9);
    format!("{:.0} %", cpu / elapsed * 100.0)
}

/// The percentiles to show, with their labels; the last is the maximum.
pub(crate) const PERCENTILES: [(f64, &str); 6] = [
    (50.0, "p50"),
    (90.0, "p90"),
    (99.0, "p99"),
    (99.9, "p99.9"),
    (99.99, "p99.99"),
    (100.0, "max"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_described() {
        let mut found = Faults::default();
        assert_eq!(faults(&found), "none");
        found.ended = 1;
        found.lost = 1_200;
        assert_eq!(
            faults(&found),
            "1 connection ended early, 1,200 messages did not arrive"
        );
    }
}
