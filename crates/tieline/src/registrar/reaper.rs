//! Removes what dead nodes left, where the registry does not do so by itself.
//!
//! Any node may do it, several at once too. A lease that ran out is acted on only when it was seen so
//! a round ago: after a pause of the registry itself, the living have had their beats by then.

use std::time::Duration;

use tieline_registry::ExpiredNode;

use super::{Registrar, RegistrarHost, claim_sender::MAX_BATCH};

/// Pause between two chunks.
const PAUSE: Duration = Duration::from_millis(20);

/// Reaps, for ever.
pub(super) async fn run<S: RegistrarHost>(registrar: Registrar<S>) {
    let inner = &*registrar.0;
    let mut sighted: Vec<ExpiredNode> = Vec::new();
    loop {
        let jitter = 0.8 + 0.4 * fastrand::f64();
        tokio::time::sleep((inner.config.lease / 2).mul_f64(jitter)).await;
        let expired = registrar
            .with_timeout("list dead nodes", inner.registry.expired())
            .await;
        let expired = expired.unwrap_or_default();
        for dead in expired.iter().filter(|dead| sighted.contains(dead)) {
            tracing::info!(node = %dead.address, "removing the entries of a dead node");
            while let Ok(true) = registrar
                .with_timeout("reap", inner.registry.reap(dead, MAX_BATCH))
                .await
            {
                tokio::time::sleep(PAUSE).await;
            }
        }
        sighted = expired;
    }
}
