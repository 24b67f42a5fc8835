//! Finds the other nodes in the registry.
//!
//! Owns how often the list of nodes is read. Invariant: it keeps nothing alive between two reads.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tieline_registry::RegistryError;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::router::MessageRouter;
use crate::error::ErrorChain;

/// Pause before a registry that did not answer is asked again, and between two requests that lookups
/// without an answer cause.
const RETRY: Duration = Duration::from_millis(500);

/// How soon a list that is out of date is read again: at most ten times a second, however many links say so.
const STALE: Duration = Duration::from_millis(100);

/// Opens links to the nodes that the registry lists.
pub(super) async fn sync(router: &MessageRouter) -> Result<(), RegistryError> {
    let nodes = router.directory.check_nodes().await?;
    router.peers.sync_members(&nodes);
    Ok(())
}

/// Reads the list each `interval`, until the router is gone. Sooner after a lookup that was not
/// answered, since the reply decides whether others start; and at once when a link shows that the list is
/// out of date.
pub(super) async fn run(
    router: Weak<MessageRouter>,
    lookup_failed: Arc<Notify>,
    list_is_stale: Arc<Notify>,
    interval: Duration,
) {
    let retry = RETRY.min(interval);
    let mut pause = interval;
    // The list was read when the node started.
    let mut last_read = Instant::now();
    loop {
        // Nodes that started together are not to ask together.
        let jitter = 0.9 + 0.2 * fastrand::f64();
        let after_failure = async {
            lookup_failed.notified().await;
            sleep_until(last_read + retry.mul_f64(jitter)).await;
        };
        let after_change = async {
            list_is_stale.notified().await;
            sleep(STALE.mul_f64(jitter)).await;
        };
        tokio::select! {
            () = sleep(pause.mul_f64(jitter)) => {}
            () = after_failure => {}
            () = after_change => {}
        }
        let Some(router) = router.upgrade() else {
            return;
        };
        pause = match sync(&router).await {
            Ok(()) => interval,
            Err(error) => {
                tracing::debug!(error = %ErrorChain(&error), "cannot list the nodes");
                retry
            }
        };
        last_read = Instant::now();
    }
}
