//! Random operations against a simple model: every message reaches exactly its receivers, once and in order.
//!
//! One driver issues the operations one after the other, so that the model knows who is where at each
//! call, while all clients read. `TIELINE_SEED` repeats a run.

mod clients;
mod drivers;
mod simulation;

use std::time::{Duration, Instant};

use fastrand::Rng;
use tieline::Config;

use self::simulation::Simulation;
use crate::kit::{Server, run_threads};

const CLIENTS: usize = 1000;
const OPERATIONS: usize = 8000;

/// The seed of this run, which is printed: a failing test shows it.
fn seed() -> u64 {
    let seed = std::env::var("TIELINE_SEED")
        .map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("TIELINE_SEED={seed}");
    seed
}

#[test]
fn every_message_reaches_its_receivers_once_and_in_order() {
    let mut rng = Rng::with_seed(seed());
    run_threads(2, async {
        let server = Server::start(Config {
            shards: Some(rng.usize(1..=4)),
            // The clients do not expect pings, and may be silent for as long as the test takes.
            ping_interval: Duration::from_mins(10),
            ..Config::default()
        })
        .await;
        let mut simulation = Simulation::new(server, CLIENTS);
        simulation.populate(&mut rng).await;
        let begun = Instant::now();
        for _ in 0..OPERATIONS {
            step(&mut simulation, &mut rng).await;
            // A slow machine does fewer, which is no failure.
            if begun.elapsed() > Duration::from_secs(35) {
                break;
            }
        }
        simulation.finish().await;
    });
}

async fn step(simulation: &mut Simulation, rng: &mut Rng) {
    match rng.u32(0..1000) {
        0..30 => simulation.connect(rng).await,
        30..50 => simulation.close(rng),
        50..65 => simulation.leave_orderly(rng).await,
        65..75 => simulation.vanish(rng).await,
        75..500 => simulation.emit(rng),
        500..600 => simulation.emit_user(rng),
        600..720 => simulation.emit_group(rng),
        720..740 => simulation.broadcast(),
        740..760 => simulation.broadcast_except(rng),
        760..800 => simulation.emit_group_except(rng),
        800..900 => simulation.join(rng),
        900..980 => simulation.leave(rng),
        980..990 => simulation.emit_to_nobody().await,
        _ => simulation.settle().await,
    }
}
