//! Orders that nobody thought of: steps by chance, and always the same.

use fastrand::Rng;
use tieline_registry::claim_table::ClaimRequest;

use crate::{
    Played, RegistryHarness,
    simulation::{A, B, Simulation},
};

/// Walks one after the other in one world, each to its rest.
const WALKS: usize = 30;

const STEPS: usize = 40;

/// Connections, steps of operations, lost requests and answers, late executions, lost evictions, audits
/// and restarts in any order.
pub(in super::super) async fn random_orders_come_to_rest(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    let mut dice = Rng::with_seed(11);
    let (mut late, mut number) = (Vec::new(), 0);
    for _ in 0..WALKS {
        for _ in 0..STEPS {
            number += 1;
            step(&mut w, &mut dice, number, &mut late).await;
        }
        for request in late.drain(..) {
            w.execute_late(&request).await;
        }
        w.settle_by_audit().await;
    }
    Ok(())
}

async fn step(w: &mut Simulation<'_>, dice: &mut Rng, number: u32, late: &mut Vec<ClaimRequest>) {
    let node = [A, B][dice.usize(..2)];
    let name = ["x", "y"][dice.usize(..2)];
    match dice.u8(..40) {
        0..6 => w.connect_as(node, number, name),
        6..9 if w.has(node, name) => w.disconnect_as(node, name),
        9..17 => w.send(node).await,
        17..24 => drop(w.execute(node).await),
        24..31 => drop(w.answer(node)),
        31 | 32 if w.is_waiting(node) => late.push(w.give_up(node)),
        33 if w.is_waiting(node) => drop(w.give_up(node)),
        34 if !late.is_empty() => {
            let request = late.swap_remove(dice.usize(..late.len()));
            w.execute_late(&request).await;
        }
        35 => w.deliver_evicts(),
        36 => w.lose_evicts(),
        37 => w.renew(node).await,
        38 if w.may_send(node) => w.audit(node).await,
        39 => {
            late.extend(w.crash(node));
            w.restart(node);
        }
        _ => {}
    }
}
