//! Random steps in one simulation, the same in every run.
//!
//! Finds orders of events that no other scenario has.

use fastrand::Rng;
use tieline_registry::claim_table::ClaimRequest;

use crate::{
    harness::{RegistryHarness, ScenarioResult},
    simulation::{NODE_A, NODE_B, Simulation},
};

/// How often the nodes must converge, in the same simulation.
const SEQUENCES: usize = 30;

/// Random steps before each convergence.
const STEPS: usize = 40;

/// Connections, steps of requests, lost requests and replies, late executions, lost evict requests,
/// audits and restarts, in random order with a fixed seed. After every 40 steps, the nodes must
/// converge.
pub(crate) async fn random_interleavings_converge(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    let mut rng = Rng::with_seed(11);
    let (mut late, mut number) = (Vec::new(), 0);
    for _ in 0..SEQUENCES {
        for _ in 0..STEPS {
            number += 1;
            step(&mut sim, &mut rng, number, &mut late).await;
        }
        for request in late.drain(..) {
            sim.execute(&request).await;
        }
        sim.converge_with_audits().await;
    }
    Ok(())
}

async fn step(sim: &mut Simulation<'_>, rng: &mut Rng, number: u32, late: &mut Vec<ClaimRequest>) {
    let node = [NODE_A, NODE_B][rng.usize(..2)];
    let name = ["x", "y", "\0chat\0x"][rng.usize(..3)];
    match rng.u8(..40) {
        0..6 => sim.connect_as(node, number, name),
        6..9 if sim.is_connected(node, name) => sim.disconnect_as(node, name),
        9..17 => sim.send(node).await,
        17..24 => drop(sim.execute_next(node).await),
        24..31 => drop(sim.deliver_reply(node)),
        31 | 32 if sim.has_pending_request(node) => late.push(sim.time_out(node)),
        33 if sim.has_pending_request(node) => drop(sim.time_out(node)),
        34 if !late.is_empty() => {
            let request = late.swap_remove(rng.usize(..late.len()));
            sim.execute(&request).await;
        }
        35 => sim.deliver_evicts(),
        36 => sim.drop_evicts(),
        37 => sim.renew(node).await,
        38 if sim.is_joined(node) => sim.audit(node).await,
        39 => {
            late.extend(sim.crash(node));
            sim.restart(node);
        }
        _ => {}
    }
}
