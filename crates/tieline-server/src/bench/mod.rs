//! The parts of `tieline bench` that need Tieline or an HTTP server.
//!
//! `http_floor` is the baseline of requests; the rest is `storm --registry`, the claims that a registry sustains.
//!
//! Simulates nodes that claim the ids of clients, and other nodes that the clients move to, in batches of
//! the size that real nodes use. Must not know connections: it opens none. Invariant: releases all claims,
//! even if interrupted. Only a killed process leaves entries, which the next run with the same prefix
//! removes.

mod http_floor;
mod node;
mod round;

use std::sync::Arc;

use anyhow::{Context, ensure};
use tieline_bench::registry::{ClaimResult, ProgressBar, RegistryOutcome, RegistryPlan};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

pub(crate) use self::http_floor::http_floor;
use self::node::{BATCH, IN_FLIGHT, Node};
use crate::config::registry_url::RegistryUrl;

/// Measures a registry. Blocks until done.
pub(crate) fn registry(plan: &RegistryPlan, bar: &ProgressBar) -> anyhow::Result<RegistryOutcome> {
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

async fn measure(
    plan: &RegistryPlan,
    bar: &ProgressBar,
) -> anyhow::Result<(ClaimResult, ClaimResult)> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut nodes = Vec::new();
    let measured = tokio::select! {
        measured = join_and_claim(plan, &mut nodes, bar) => measured,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted")),
        _ = terminate.recv() => Err(anyhow::anyhow!("interrupted")),
    };
    bar.step(1, 1, "releasing claims".into());
    let mut released = Ok(());
    for node in &nodes {
        released = released.and(node.leave().await);
    }
    let measured = measured?;
    released.context("some entries remain; the next run with this --prefix removes them")?;
    Ok(measured)
}

/// Claims unclaimed ids with the first half of the nodes, then the same ids with the second half.
async fn join_and_claim(
    plan: &RegistryPlan,
    nodes: &mut Vec<Arc<Node>>,
    bar: &ProgressBar,
) -> anyhow::Result<(ClaimResult, ClaimResult)> {
    join(plan, nodes).await?;
    let (first_half, second_half) = nodes.split_at(usize::from(plan.nodes));
    // The first nodes take the remainder.
    let (each, rest) = (
        plan.claims / first_half.len(),
        plan.claims % first_half.len(),
    );
    let ids: Vec<_> = (0..first_half.len())
        .map(|node| each + usize::from(node < rest))
        .collect();
    let (fresh, ids) = round::run(first_half, &ids, plan.duration, false, bar).await?;
    ensure!(fresh.granted > 0, "no claim was granted");
    let (moves, _) = round::run(second_half, &ids, plan.duration, true, bar).await?;
    Ok((fresh, moves))
}

/// Joins the nodes of both halves. Each has its own connections to the registry, like real nodes.
async fn join(plan: &RegistryPlan, nodes: &mut Vec<Arc<Node>>) -> anyhow::Result<()> {
    for number in 0..plan.nodes * 2 {
        let connecting = tieline::registry::connect(&plan.url, &plan.prefix);
        let registry = node::with_timeout("connect", async { Ok(connecting.await?) }).await?;
        nodes.push(Arc::new(Node::join(registry, number).await?));
    }
    Ok(())
}
