//! Finding nodes that announce themselves nowhere: those of go-websocket, which only write entries.
//!
//! The registry's addresses that belong to no member are theirs. Looking through all entries is paced
//! like an audit, and only done where the counts say that there is something to find.

use std::{
    collections::HashSet,
    sync::{Arc, Weak},
    time::Duration,
};

use tieline_registry::{Cursor, RegistryError};
use tokio::time::Instant;

use super::{Inner, chain};
use crate::registrar::Registrar;

/// Pauses are this many times as long as what they follow took: a twentieth of the registry's time.
const SHARE: u32 = 19;

/// Looks for foreign nodes, until the cluster is dropped.
pub(super) async fn watch(cluster: Weak<Inner>, interval: Duration, audit: Duration) {
    let mut seen: Option<(Option<i64>, Instant)> = None;
    loop {
        let Some(inner) = cluster.upgrade() else {
            return;
        };
        let balance = inner.registrar().and_then(Registrar::foreign_balance);
        let anything = balance != Some(0);
        let due = seen.is_none_or(|(before, at)| before != balance || at.elapsed() >= audit);
        if anything && due {
            match inner.look_for_foreign().await {
                Ok(()) => seen = Some((balance, Instant::now())),
                Err(error) => {
                    tracing::debug!(error = %chain(&error), "cannot look for foreign nodes");
                }
            }
        } else if !anything {
            seen = None;
            inner.foreign.lock().clear();
        }
        drop(inner);
        tokio::time::sleep(interval).await;
    }
}

impl Inner {
    async fn look_for_foreign(&self) -> Result<(), RegistryError> {
        let nodes = self
            .with_timeout("list the nodes", self.registry.nodes())
            .await?;
        let known: HashSet<_> = nodes.into_iter().map(|node| node.address).collect();
        let mut found = HashSet::new();
        let mut next = Some(Cursor::default());
        while let Some(cursor) = next {
            let begun = Instant::now();
            let page = self
                .with_timeout("list entries", self.registry.scan(cursor))
                .await?;
            let addresses = page.items.into_iter().map(|(_, address)| address);
            found.extend(addresses.filter(|address| !known.contains(address)));
            next = page.next;
            tokio::time::sleep(begun.elapsed() * SHARE).await;
        }
        for address in &found {
            self.peers.get_or_connect(address, self);
        }
        *self.foreign.lock() = found.into_iter().collect::<Vec<Arc<str>>>();
        Ok(())
    }
}
