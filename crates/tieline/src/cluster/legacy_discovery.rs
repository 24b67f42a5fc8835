//! Finds legacy nodes: those of go-websocket, which write entries and do not join the registry.
//!
//! Owns when entries are scanned for them: an address in an entry that no node of the registry has is a
//! legacy node's. A scan is paced so that it takes at most a twentieth of the registry's time, and runs
//! only while the counts of entries say that there is something to find.

use std::{
    collections::HashSet,
    sync::{Arc, Weak},
    time::Duration,
};

use tieline_registry::{Cursor, RegistryError};
use tokio::time::{Instant, sleep};

use super::router::MessageRouter;
use crate::error::ErrorChain;

/// The pause after each page, as a multiple of the time that the page took: a twentieth of the
/// registry's time.
const PAUSE: u32 = 19;

/// Looks for legacy nodes each `interval`, until the router is gone. A search follows each change of the
/// count of entries, and the last search after `audit`.
pub(super) async fn run(router: Weak<MessageRouter>, interval: Duration, audit: Duration) {
    let mut last_scan: Option<(Option<i64>, Instant)> = None;
    loop {
        let Some(router) = router.upgrade() else {
            return;
        };
        let entries = router.directory.legacy_entries();
        if entries == Some(0) {
            last_scan = None;
            router.peers.set_legacy(Vec::new());
        } else if last_scan.is_none_or(|(before, at)| before != entries || at.elapsed() >= audit) {
            match scan(&router).await {
                Ok(addresses) => {
                    last_scan = Some((entries, Instant::now()));
                    router.peers.set_legacy(addresses);
                }
                Err(error) => {
                    tracing::debug!(error = %ErrorChain(&error), "cannot look for go-websocket nodes");
                }
            }
        }
        drop(router);
        sleep(interval).await;
    }
}

/// The addresses in entries that no node of the registry has.
async fn scan(router: &MessageRouter) -> Result<Vec<Arc<str>>, RegistryError> {
    let directory = &router.directory;
    let nodes = directory.nodes().await?.into_iter();
    let known: HashSet<_> = nodes.map(|node| node.address).collect();
    let mut found = HashSet::new();
    let mut next = Some(Cursor::default());
    while let Some(cursor) = next {
        let started = Instant::now();
        let page = directory.scan(cursor).await?;
        let addresses = page.items.into_iter().map(|(_, address)| address);
        found.extend(addresses.filter(|address| !known.contains(address)));
        next = page.next;
        sleep(started.elapsed() * PAUSE).await;
    }
    Ok(found.into_iter().collect())
}
