//! Removes the entries of expired nodes, where the registry does not do so itself.
//!
//! Any node may do it, several at once too. A node is reaped only if the round before saw the same
//! expired lease: after a pause of the registry itself, all leases look expired, and the live nodes
//! renew theirs within one round. Invariant: reaping takes at most a twentieth of the registry's time.

use tieline_registry::ExpiredNode;
use tokio::time::Instant;

use super::{
    inner::{MAX_BATCH, Registrar, RegistrarHost},
    reconciler::Pacing,
};

/// Reaps, every half lease, until the registrar stops.
pub(super) async fn run<H: RegistrarHost>(registrar: Registrar<H>) {
    let inner = &*registrar.0;
    let mut seen_before: Vec<ExpiredNode> = Vec::new();
    let mut pacing = Pacing::default();
    loop {
        let jitter = 0.8 + 0.4 * fastrand::f64();
        tokio::time::sleep((inner.config.lease / 2).mul_f64(jitter)).await;
        let expired = registrar
            .with_timeout("list expired nodes", inner.registry.expired())
            .await;
        let expired = expired.unwrap_or_default();
        for node in expired.iter().filter(|node| seen_before.contains(node)) {
            tracing::info!(node = %node.address, "removing the entries of an expired node");
            registrar.reap(node, &mut pacing).await;
        }
        seen_before = expired;
    }
}

impl<H: RegistrarHost> Registrar<H> {
    /// Removes the entries of an expired node, batch by batch, until none is left or the registry does not
    /// reply.
    async fn reap(&self, node: &ExpiredNode, pacing: &mut Pacing) {
        loop {
            let start = Instant::now();
            let batch = self.0.registry.reap(node, MAX_BATCH);
            let Ok(true) = self.with_timeout("reap a node", batch).await else {
                return;
            };
            pacing.pause(Some(start.elapsed())).await;
        }
    }
}
