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
use crate::kit::{Server, run_threads, run_within};

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
        let mut simulation = Simulation::new(server, CLIENTS, 80, 30);
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

/// On one thread a node does nothing while the driver goes on, so that joins, leaves and closes come between
/// many messages that wait. There are few clients and groups, so that the same client does all of it.
#[test]
fn the_same_holds_for_clients_that_come_and_go_while_messages_wait() {
    let mut rng = Rng::with_seed(seed());
    run_within(Duration::from_mins(1), async {
        for shards in [1, 2] {
            let server = Server::start(Config {
                shards: Some(shards),
                ping_interval: Duration::from_mins(10),
                ..Config::default()
            })
            .await;
            let mut simulation = Simulation::new(server, 120, 2, 4);
            simulation.populate(&mut rng).await;
            let begun = Instant::now();
            for _ in 0..3000 {
                step_of_churn(&mut simulation, &mut rng).await;
                if begun.elapsed() > Duration::from_secs(15) {
                    break;
                }
            }
            simulation.finish().await;
        }
    });
}

async fn step_of_churn(simulation: &mut Simulation, rng: &mut Rng) {
    match rng.u32(0..1000) {
        0..50 => simulation.connect(rng).await,
        50..65 => simulation.close(rng),
        65..70 => simulation.leave_orderly(rng).await,
        70..75 => simulation.vanish(rng).await,
        75..150 => simulation.emit(rng),
        150..200 => simulation.emit_user(rng),
        200..350 => simulation.emit_group(rng),
        350..400 => simulation.broadcast(),
        400..450 => simulation.broadcast_except(rng),
        450..500 => simulation.emit_group_except(rng),
        500..700 => simulation.join(rng),
        700..750 => simulation.set_user(rng),
        750..990 => simulation.leave(rng),
        _ => simulation.settle().await,
    }
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
        800..880 => simulation.join(rng),
        880..900 => simulation.set_user(rng),
        900..980 => simulation.leave(rng),
        980..990 => simulation.emit_to_nobody().await,
        _ => simulation.settle().await,
    }
}
