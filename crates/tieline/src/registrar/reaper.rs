//! Removes the entries of expired nodes, where the registry does not do so itself.
//!
//! Any node may do it, several at once too. A node is reaped only if the round before saw the same
//! expired lease: after a pause of the registry itself, all leases look expired, and the live nodes
//! renew theirs within one round.

use std::time::Duration;

use tieline_registry::ExpiredNode;

use super::inner::{MAX_BATCH, Registrar, RegistrarHost};

/// Pause between two batches, so that other requests get through.
const PAUSE: Duration = Duration::from_millis(20);

/// Reaps, every half lease, until the registrar stops.
pub(super) async fn run<H: RegistrarHost>(registrar: Registrar<H>) {
    let inner = &*registrar.0;
    let mut seen_before: Vec<ExpiredNode> = Vec::new();
    loop {
        let jitter = 0.8 + 0.4 * fastrand::f64();
        tokio::time::sleep((inner.config.lease / 2).mul_f64(jitter)).await;
        let expired = registrar
            .with_timeout("list expired nodes", inner.registry.expired())
            .await;
        let expired = expired.unwrap_or_default();
        for node in expired.iter().filter(|node| seen_before.contains(node)) {
            tracing::info!(node = %node.address, "removing the entries of an expired node");
            while let Ok(true) = registrar
                .with_timeout("reap a node", inner.registry.reap(node, MAX_BATCH))
                .await
            {
                tokio::time::sleep(PAUSE).await;
            }
        }
        seen_before = expired;
    }
}
