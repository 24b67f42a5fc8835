//! Every scenario against the baseline server.

use std::time::Duration;

use tieline_bench::{
    outcome::{Faults, Outcome},
    plan::{Pacing, Plan, Scenario},
};

use crate::{plan, run, servers};

fn sound(plan: &Plan) -> Outcome {
    let outcome = run(plan);
    assert_eq!(outcome.faults, Faults::default());
    assert_eq!(outcome.opening.connections, plan.connections);
    assert_eq!(outcome.processes.len(), 1);
    assert!(outcome.processes[0].resident_first > 0);
    assert!(outcome.processes[0].resident_end > 0);
    assert!(!outcome.latency.0.is_empty());
    outcome
}

/// Messages arrive in a closed loop, and in an open loop at the requested rate.
fn flows(scenario: Scenario, receivers: f64) {
    let mut plan = plan(scenario, &servers::floor());
    let closed = sound(&plan);
    assert!(closed.arrived > 20, "{closed:?}");
    assert!(closed.sent > 0);
    plan.pace = Pacing::PerSecond(1000.0);
    let open = sound(&plan);
    // Some of the last messages arrive after the measurement time.
    let wanted = 300.0 * receivers;
    let arrived = f64::from(u32::try_from(open.latency.0.len()).unwrap());
    assert!((arrived - wanted).abs() <= receivers, "{arrived}");
    assert_eq!(open.elapsed, plan.duration);
}

#[test]
fn echoes_come_back() {
    flows(Scenario::Echo, 1.0);
}

#[test]
fn broadcasts_reach_all() {
    flows(Scenario::Broadcast, 10.0);
}

#[test]
fn messages_reach_the_other_of_the_pair() {
    flows(Scenario::Direct, 1.0);
}

#[test]
fn messages_reach_all_of_their_room() {
    flows(Scenario::Rooms, 5.0);
}

#[test]
fn messages_and_broadcasts_are_counted_apart() {
    flows(Scenario::Mixed, 1.0);
    let mut plan = plan(Scenario::Mixed, &servers::floor());
    plan.pace = Pacing::PerSecond(400.0);
    let rate = Pacing::PerSecond(100.0);
    plan.broadcast.as_mut().unwrap().pace = rate;
    let outcome = sound(&plan);
    let broadcast = outcome.broadcast.unwrap();
    assert_eq!(outcome.latency.0.len(), 120);
    assert_eq!(broadcast.latency.0.len(), 30 * 10);
    assert!(broadcast.arrived > broadcast.sent && broadcast.sent > 15);
}

#[test]
fn only_the_senders_of_a_room_send() {
    let mut plan = plan(Scenario::Rooms, &servers::floor());
    (plan.connections, plan.room, plan.senders) = (7, 3, 1);
    (plan.pace, plan.warm_up) = (Pacing::InFlight(1), Duration::ZERO);
    let outcome = sound(&plan);
    // Two rooms have three members, and the last one has one.
    assert!(outcome.arrived > outcome.sent && outcome.arrived < 3 * outcome.sent + 20);
}

#[test]
fn commands_may_be_binary() {
    for scenario in [Scenario::Broadcast, Scenario::Direct, Scenario::Rooms] {
        let mut plan = plan(scenario, &servers::floor());
        plan.binary = true;
        assert!(sound(&plan).arrived > 20);
    }
}

#[test]
fn payloads_are_found_within_other_text_and_of_any_size() {
    let url = servers::floor();
    for size in [34, 64, 125, 126, 1000, 65_535, 70_000, 600_000] {
        let mut plan = plan(Scenario::Echo, &url);
        (plan.size, plan.binary, plan.connections) = (size, size % 2 == 0, 2);
        plan.send = r#"{"n":{n},"to":"{to}","text":"{payload}"}"#.to_owned();
        plan.on_open = vec!["hello from {id}".to_owned()];
        let outcome = sound(&plan);
        assert!(outcome.arrived > 0, "{size}");
    }
}

/// The kernel counts in hundredths of a second: a short measurement on a busy machine shows nothing.
#[test]
fn processor_time_is_measured() {
    let mut plan = plan(Scenario::Echo, &servers::floor());
    while sound(&plan).processes[0].cpu <= 0.0 {
        plan.duration *= 2;
        assert!(plan.duration < Duration::from_secs(10), "no time is shown");
    }
}

#[test]
fn idle_connections_stay() {
    let mut plan = plan(Scenario::Idle, &servers::floor());
    plan.connections = 100;
    let outcome = sound(&plan);
    assert_eq!((outcome.arrived, outcome.latency.0.len()), (0, 100));
    assert!(outcome.elapsed >= plan.duration);
    assert!(outcome.processes[0].resident_open > 0);
}

#[test]
fn storms_bring_all_back() {
    let plan = plan(Scenario::Storm, &servers::floor());
    let outcome = sound(&plan);
    assert_eq!((outcome.arrived, outcome.latency.0.len()), (20, 20));
}

#[test]
fn connections_churn() {
    let mut plan = plan(Scenario::Churn, &servers::floor());
    let closed = sound(&plan);
    assert!(closed.arrived > 20);
    plan.pace = Pacing::PerSecond(500.0);
    let open = sound(&plan);
    // What was due in the warm-up may be opened late, and then counts.
    let due = (plan.warm_up + plan.duration).as_millis() / 2;
    assert!((75..=due + 1).contains(&open.sent.into()), "{}", open.sent);
}
