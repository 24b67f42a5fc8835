//! A plan and an outcome with known figures, for tests.
//!
//! The figures are round, so that tests can state what follows from them.

use std::time::Duration;

use crate::{
    outcome::{Faults, Latency, Opening, Outcome, ProcessUse},
    plan::{Pacing, Plan, Scenario, Wire},
};

pub(crate) fn plan() -> Plan {
    Plan {
        scenario: Scenario::Echo,
        urls: vec!["ws://127.0.0.1:9201/echo".into()],
        connections: 101,
        pace: Pacing::InFlight(1),
        send: "{payload}".into(),
        on_open: Vec::new(),
        size: 64,
        binary: false,
        wire: Wire::Bare,
        token_key: None,
        request: None,
        subprotocol: None,
        headers: Vec::new(),
        insecure: false,
        warm_up: Duration::from_secs(1),
        duration: Duration::from_secs(5),
        rounds: 5,
        room: 10,
        senders: 10,
        broadcast: None,
        dialing: 200,
        processes: 0,
        cpu: None,
        pids: vec![4242],
    }
}

/// 120,000 messages a second at 8 µs each, and 1,200 bytes per connection.
pub(crate) fn outcome() -> Outcome {
    let mut latency = Latency::new();
    for micros in 1..=10_000 {
        latency.0.saturating_record(micros * 1_000);
    }
    Outcome {
        plan: plan(),
        elapsed: Duration::from_secs(5),
        sent: 600_000,
        arrived: 600_000,
        latency,
        broadcast: None,
        opening: Opening {
            connections: 101,
            elapsed: Duration::from_millis(20),
        },
        faults: Faults::default(),
        processes: vec![ProcessUse {
            pid: 4242,
            name: "yardstick".into(),
            resident_first: 5_000_000,
            resident_open: 5_120_000,
            resident_end: 5_120_000,
            cpu: 4.8,
        }],
        load_cpu: 4.9,
    }
}
