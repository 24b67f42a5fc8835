//! `tieline bench storm --registry`: the claims that a registry sustains.
//!
//! Plays nodes that claim the ids of clients, and others to which the clients move, with the batches
//! of `tieline::claims`. Must not know connections: none is opened. Invariant: what it claimed it gives
//! back, also where it is interrupted; only a node that is killed leaves entries, which the next run
//! under the same prefix removes.

mod node;
mod round;

use std::sync::Arc;

use anyhow::{Context, ensure};
use tieline_bench::registry::{Bar, Claims, RegistryOutcome, RegistryPlan};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

use self::node::{BATCH, IN_FLIGHT, Node};
use crate::cli::RegistryUrl;

/// Measures a registry; blocks.
pub(crate) fn registry(plan: &RegistryPlan, bar: &Bar) -> anyhow::Result<RegistryOutcome> {
    let url = RegistryUrl::from(plan.url.clone());
    url.check()?;
    let measured = Runtime::new()?.block_on(measure(plan, bar));
    let (fresh, moves) = measured.map_err(|error| {
        let why = url.hide_in(&format!("{error:#}"));
        anyhow::anyhow!("cannot measure the registry {url}: {why}")
    })?;
    Ok(RegistryOutcome {
        registry: url.to_string(),
        batch: BATCH,
        in_flight: IN_FLIGHT,
        fresh,
        moves,
    })
}

async fn measure(plan: &RegistryPlan, bar: &Bar) -> anyhow::Result<(Claims, Claims)> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut nodes = Vec::new();
    let measured = tokio::select! {
        measured = join_and_claim(plan, &mut nodes, bar) => measured,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted")),
        _ = terminate.recv() => Err(anyhow::anyhow!("interrupted")),
    };
    bar.step(1, 1, "giving back what was claimed".into());
    let mut left = Ok(());
    for node in &nodes {
        left = left.and(node.leave().await);
    }
    let measured = measured?;
    left.context("entries are left, which the next run removes")?;
    Ok(measured)
}

/// Fresh ids by the first half of the nodes, then the same ids by the second half.
async fn join_and_claim(
    plan: &RegistryPlan,
    nodes: &mut Vec<Arc<Node>>,
    bar: &Bar,
) -> anyhow::Result<(Claims, Claims)> {
    join(plan, nodes).await?;
    let (homes, away) = nodes.split_at(usize::from(plan.nodes));
    // The first of them take what is left over.
    let (each, rest) = (plan.claims / homes.len(), plan.claims % homes.len());
    let ids: Vec<_> = (0..homes.len())
        .map(|node| each + usize::from(node < rest))
        .collect();
    let (fresh, ids) = round::play(homes, &ids, plan.duration, false, bar).await?;
    ensure!(fresh.granted > 0, "no claim was granted");
    let (moves, _) = round::play(away, &ids, plan.duration, true, bar).await?;
    Ok((fresh, moves))
}

/// The nodes of both halves. Each has connections of its own to the registry, as real nodes have.
async fn join(plan: &RegistryPlan, nodes: &mut Vec<Arc<Node>>) -> anyhow::Result<()> {
    for number in 0..plan.nodes * 2 {
        let connecting = tieline::registry::connect(&plan.url, &plan.prefix);
        let registry = node::within("connect", async { Ok(connecting.await?) }).await?;
        nodes.push(Arc::new(Node::join(registry, number).await?));
    }
    Ok(())
}
