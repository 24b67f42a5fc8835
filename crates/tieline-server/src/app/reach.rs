//! Whether a new client is reachable from every node.
//!
//! Owns what that takes. Must not know who wants to know. Invariant: it is waited for, and not for ever.

use std::time::Duration;

use tieline::{Cluster, Connection, registry::Located};
use tokio::time::{sleep, timeout};

/// How long the registry may take for the claim of a client that was let in without a verdict. While it is
/// unavailable, the events of each new client are late by as much.
const CLAIM_LIMIT: Duration = Duration::from_secs(5);
/// Of one lookup, and between two.
const LOOKUP_LIMIT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until other nodes find the connection by its id, its user and its groups. False if they may not:
/// the registry or a node did not answer in time, or the connection has ended.
pub(crate) async fn reachable(cluster: &Cluster, connection: &Connection) -> bool {
    let claimed = async {
        tokio::select! {
            claimed = timeout(CLAIM_LIMIT, claimed(cluster, connection)) => claimed.is_ok(),
            _ = connection.closed() => false,
        }
    };
    let (claimed, synced) = tokio::join!(claimed, cluster.synced());
    claimed && synced
}

/// Asks the registry, because a client whose claim takes long is let in before: until the registry has it,
/// other nodes take it for offline.
async fn claimed(cluster: &Cluster, connection: &Connection) {
    let key = connection.id().key();
    // A node without a cluster has no address, and nobody who looks for its clients.
    while let Some(address) = cluster.address() {
        let lookup = timeout(LOOKUP_LIMIT, cluster.registry().locate(key, true)).await;
        match lookup {
            Ok(Ok(Located::At(entry))) if &*entry.address == address => return,
            _ => sleep(PAUSE).await,
        }
    }
}
