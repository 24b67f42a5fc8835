//! Random orders of all these steps.

use super::stage::{NODE_A, NODE_B, Stage};
use crate::harness::{RegistryHarness, ScenarioResult};

/// Users come and go at two nodes, whose puts are executed late, twice or never, and both follow the roster. In the
/// end everybody must agree, and nobody may have been told anything wrong.
pub(crate) async fn random_puts_converge(harness: &dyn RegistryHarness) -> ScenarioResult {
    for seed in 0..4 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut stage = Stage::new(harness).await?;
        stage.is_prompt = false;
        stage.follow(NODE_A);
        let mut late = Vec::new();
        for _ in 0..150 {
            let node = random.usize(0..2);
            let user = ["ada", "grace", "joan"][random.usize(0..3)];
            match random.u8(0..12) {
                0..4 if stage.nodes[node].users.contains(user) => stage.disconnect(node, user),
                0..4 => stage.connect_with(node, user, ["", "x"][random.usize(0..2)]),
                4..8 => advance(&mut stage, node).await,
                8 if stage.nodes[node].put.is_some() => {
                    late.push(stage.time_out(node));
                    // What timed out may have been acknowledged before; it is not any more.
                    stage.nodes[node].steady.clear();
                }
                9 if !late.is_empty() => {
                    let request = late.swap_remove(random.usize(0..late.len()));
                    stage.execute_request(&request).await;
                }
                10 => stage.follow(NODE_B),
                _ => {
                    let node = if stage.nodes[node].follows {
                        node
                    } else {
                        NODE_A
                    };
                    stage.fetch(node).await;
                    stage.read(node).await;
                }
            }
        }
        for node in [NODE_A, NODE_B] {
            stage.flush(node).await;
        }
        for request in late {
            stage.execute_request(&request).await;
        }
        stage.converge().await;
    }
    Ok(())
}

/// The next step of a node's put.
async fn advance(stage: &mut Stage<'_>, node: usize) {
    match &stage.nodes[node].put {
        Some((_, Some(_))) => stage.deliver(node),
        Some((_, None)) => stage.execute(node).await,
        None => stage.try_send(node),
    }
}
