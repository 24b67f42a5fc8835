//! Loads against the baseline server, and against servers that misbehave, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod json;
mod misbehaving;
mod rest;
mod scenarios;
mod servers;
mod stall;
mod tls;

use std::time::Duration;

use tieline_bench::{
    Progress,
    outcome::Outcome,
    plan::{FlowPlan, Pacing, Plan, Scenario, Wire},
};

/// Ignores progress.
struct NoProgress;

impl Progress for NoProgress {
    fn opened(&self, _: usize, _: usize) {}
    fn running(&self, _: Duration, _: Duration, _: u64) {}
}

/// A short plan.
fn plan(scenario: Scenario, url: &str) -> Plan {
    let send = match scenario {
        Scenario::Broadcast => "B{payload}",
        Scenario::Direct | Scenario::Mixed => "T:{to}:{payload}",
        Scenario::Rooms => "G:{room}:{payload}",
        _ => "{payload}",
    };
    let on_open = match scenario {
        Scenario::Rooms => vec!["J:{room}".to_owned()],
        _ => Vec::new(),
    };
    Plan {
        scenario,
        urls: vec![url.to_owned()],
        connections: 10,
        pace: Pacing::InFlight(2),
        send: send.to_owned(),
        on_open,
        size: 64,
        binary: false,
        wire: Wire::Bare,
        token_key: None,
        request: None,
        subprotocol: None,
        headers: Vec::new(),
        insecure: false,
        warm_up: Duration::from_millis(50),
        duration: Duration::from_millis(300),
        rounds: 2,
        room: 5,
        senders: 5,
        broadcast: (scenario == Scenario::Mixed).then(|| FlowPlan {
            pace: Pacing::InFlight(1),
            send: "B{payload}".to_owned(),
        }),
        dialing: 4,
        processes: 1,
        cpu: None,
        pids: vec![std::process::id()],
    }
}

fn run(plan: &Plan) -> Outcome {
    tieline_bench::run(plan, &NoProgress).expect("the load runs")
}
