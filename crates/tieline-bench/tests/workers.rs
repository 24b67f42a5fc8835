//! A load in several processes. With an argument, this program runs as a worker.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io::{self, Read},
    net::TcpListener,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use tieline_bench::{
    Floor, Progress,
    outcome::{Faults, Outcome},
    plan::{FlowPlan, Pacing, Plan, Scenario, Wire},
};

const WORKER: &str = "be-a-worker";

struct NoProgress;

impl Progress for NoProgress {
    fn opened(&self, _: usize, _: usize) {}
    fn running(&self, _: Duration, _: Duration, _: u64) {}
}

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1) {
        Some(argument) if argument == WORKER => tieline_bench::worker(),
        _ => {
            let floor = Floor::bind("127.0.0.1:0".parse()?)?;
            let url = format!("ws://{}/ws?id={{id}}", floor.address()?);
            thread::spawn(move || floor.serve());
            every_scenario_is_shared(&url);
            a_rate_is_for_all_workers_together(&url);
            a_missing_server_is_reported();
            a_worker_that_dies_is_an_error(&url);
            a_worker_ends_with_its_standard_input(&url);
            Ok(())
        }
    }
}

fn program() -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORKER);
    Ok(command)
}

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
        connections: 14,
        pace: Pacing::InFlight(1),
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
        warm_up: Duration::from_millis(20),
        duration: Duration::from_millis(300),
        rounds: 2,
        room: 5,
        senders: 5,
        broadcast: (scenario == Scenario::Mixed).then(|| FlowPlan {
            pace: Pacing::InFlight(1),
            send: "B{payload}".to_owned(),
        }),
        dialing: 4,
        processes: 3,
        cpu: None,
        pids: vec![std::process::id()],
    }
}

fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    tieline_bench::run_with(plan, &NoProgress, &program)
}

fn every_scenario_is_shared(url: &str) {
    let scenarios = [
        Scenario::Idle,
        Scenario::Echo,
        Scenario::Broadcast,
        Scenario::Direct,
        Scenario::Rooms,
        Scenario::Mixed,
        Scenario::Storm,
        Scenario::Churn,
    ];
    for scenario in scenarios {
        let plan = plan(scenario, url);
        let outcome = run(&plan).unwrap();
        assert_eq!(outcome.faults, Faults::default(), "{scenario:?}");
        assert_eq!(outcome.plan, plan);
        assert_eq!(outcome.opening.connections, 14);
        assert!(outcome.latency.0.len() >= 14, "{outcome:?}");
        assert!(outcome.processes[0].resident_first > 0);
        assert!(outcome.processes[0].resident_open > 0);
        assert!(outcome.processes[0].resident_end > 0);
        match scenario {
            Scenario::Idle => assert_eq!(outcome.arrived, 0),
            Scenario::Storm => assert_eq!(outcome.arrived, 28),
            _ => assert!(outcome.arrived >= 14, "{outcome:?}"),
        }
    }
}

fn a_rate_is_for_all_workers_together(url: &str) {
    let cases = [
        (Scenario::Echo, 300),
        (Scenario::Direct, 300),
        // Two rooms have five members, and the last one has four.
        (Scenario::Mixed, 300),
        (Scenario::Rooms, 300 * (5 * 5 * 2 + 4 * 4) / 14),
        (Scenario::Broadcast, 300 * 14),
    ];
    for (scenario, expected) in cases {
        let mut plan = plan(scenario, url);
        plan.pace = Pacing::PerSecond(1000.0);
        let outcome = run(&plan).unwrap();
        let recorded = outcome.latency.0.len();
        assert!(recorded.abs_diff(expected) <= 14, "{recorded} {expected}");
        assert_eq!(outcome.faults, Faults::default());
    }
}

fn a_missing_server_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("ws://{address}/");
    let why = run(&plan(Scenario::Echo, &url)).unwrap_err().to_string();
    assert!(why.contains("connection refused"), "{why}");
}

fn a_worker_that_dies_is_an_error(url: &str) {
    let dies = || Ok(Command::new("false"));
    let plan = plan(Scenario::Echo, url);
    let why = tieline_bench::run_with(&plan, &NoProgress, &dies).unwrap_err();
    assert!(format!("{why:#}").contains("worker"), "{why:#}");
}

fn a_worker_ends_with_its_standard_input(url: &str) {
    let mut worker = program()
        .unwrap()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let plan = serde_json::to_value(plan(Scenario::Idle, url)).unwrap();
    let partition =
        serde_json::json!({ "plan": plan, "first": 0, "connections": 2, "source": null });
    let mut input = worker.stdin.take().unwrap();
    io::Write::write_all(&mut input, format!("{partition}\n").as_bytes()).unwrap();
    let mut said = worker.stdout.take().unwrap();
    said.read_exact(&mut [0]).unwrap();
    drop(input);
    assert!(!worker.wait().unwrap().success());
}
