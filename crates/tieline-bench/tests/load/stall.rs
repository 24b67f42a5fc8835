//! A stall of the server shows in the latency of every message that it delays.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use tieline_bench::{
    outcome::Outcome,
    plan::{Pacing, Scenario},
};

use crate::{plan, run, servers};

const STALL: Duration = Duration::from_millis(200);

/// An echo server that stalls once.
fn stalls(mut socket: TcpStream) {
    servers::accept(&mut socket, b"");
    let begin = Instant::now();
    let mut stalled = false;
    while let Ok(message) = servers::read(&mut socket) {
        if !stalled && begin.elapsed() > Duration::from_millis(400) {
            stalled = true;
            let (never, wait) = std::sync::mpsc::sync_channel::<()>(0);
            let _ = wait.recv_timeout(STALL);
            drop(never);
        }
        if servers::write(&mut socket, &message).is_err() {
            return;
        }
    }
}

fn measure(pace: Pacing) -> Outcome {
    let address = servers::each(|_, socket| stalls(socket));
    let mut plan = plan(Scenario::Echo, &format!("ws://{address}/"));
    (plan.connections, plan.pace) = (1, pace);
    (plan.warm_up, plan.duration) = (Duration::ZERO, Duration::from_secs(1));
    run(&plan)
}

/// How many messages took longer than half of the stall.
fn delayed(outcome: &Outcome) -> u64 {
    let (half, most) = (STALL / 2, Duration::from_mins(1));
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
    let latency = &outcome.latency.0;
    latency.count_between(nanoseconds(half), nanoseconds(most))
}

#[test]
fn an_open_loop_counts_all_that_it_delayed() {
    let outcome = measure(Pacing::PerSecond(1000.0));
    assert_eq!(outcome.latency.0.len(), 1000);
    assert!(outcome.latency.0.max() >= 195_000_000);
    assert!(
        (90..600).contains(&delayed(&outcome)),
        "{}",
        delayed(&outcome)
    );
    assert!(outcome.latency.0.value_at_quantile(0.99) >= 150_000_000);
}

#[test]
fn a_closed_loop_hides_it() {
    let outcome = measure(Pacing::InFlight(1));
    assert!(delayed(&outcome) < 10);
    assert!(outcome.latency.0.max() >= 195_000_000);
}
