//! What must hold for a consistent cluster, seen from outside: by its clients, its registry, its
//! answers.
//!
//! Each connected id has exactly one connection, and the registry maps it to its node; the registry
//! has no other entries; the counts of the nodes agree; no connection was closed as replaced by an
//! older one; and what is sent from any node to any client is delivered and received.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tieline::{
    CloseReason,
    registry::{Cursor, Owner, Registry, RegistryError},
};
use tokio::time::timeout;

use super::{client::Client, clients::Clients, node_process::NodeProcess, node_process::pause};
use crate::kit::Stopwatch;

/// Timeout of one step of a check.
const STEP: Duration = Duration::from_secs(2);

/// The maximal difference between the clocks of two nodes: the time of the registry's fastest
/// answer, on a busy machine. Between connections that are closer together than this, either may
/// win.
const CLOCKS: Duration = Duration::from_millis(20);

/// Faults that a failure lists.
const SHOWN: usize = 20;

/// Waits until entries, counts and links are consistent and every client is reached; returns how
/// long the entries took. A node may need a moment to notice that the registry is back, and answers
/// `Unreachable` until then, which says that nothing was sent; any other answer is a fault at once.
pub(super) async fn wait_until_consistent(
    within: Duration,
    nodes: &[&NodeProcess],
    clients: &Clients,
    registry: &Arc<dyn Registry>,
) -> Duration {
    let begun = Stopwatch::start();
    loop {
        let faults = state_faults(nodes, clients, registry).await;
        if faults.is_empty() {
            break;
        }
        let waited = begun.elapsed();
        assert!(waited < within, "after {waited:?}: {}", list(&faults));
        pause().await;
    }
    let took = begun.elapsed();
    loop {
        let mut faults = replaced(clients);
        let open = unreached_faults(nodes, clients, &mut faults).await;
        let is_late = open > 0 && begun.elapsed() > within;
        assert!(faults.is_empty(), "consistent, but: {}", list(&faults));
        assert!(!is_late, "{open} emits are still unreachable");
        if open == 0 {
            return took;
        }
        pause().await;
    }
}

fn list(faults: &[String]) -> String {
    let shown = faults
        .iter()
        .take(SHOWN)
        .map(|fault| format!("\n  {fault}"));
    format!("{} faults{}", faults.len(), shown.collect::<String>())
}

/// Faults in connections, entries, counts and links.
pub(super) async fn state_faults(
    nodes: &[&NodeProcess],
    clients: &Clients,
    registry: &Arc<dyn Registry>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut live: BTreeMap<&str, &Client> = BTreeMap::new();
    for client in clients.connected() {
        if let Some(other) = live.insert(&client.id, client) {
            let (id, one, two) = (&client.id, &other.node, &client.node);
            faults.push(format!("{id} is connected to {one} and to {two}"));
        }
    }
    faults.extend(node_faults(nodes, &live).await);
    let listed = timeout(STEP, registry_faults(nodes, clients, &live, registry)).await;
    match listed {
        Ok(Ok(found)) => faults.extend(found),
        Ok(Err(error)) => faults.push(format!("the registry fails: {error}")),
        Err(_) => faults.push("the registry does not answer".to_owned()),
    }
    faults
}

/// Faults in the nodes' counts and links.
async fn node_faults(nodes: &[&NodeProcess], live: &BTreeMap<&str, &Client>) -> Vec<String> {
    let mut faults = Vec::new();
    for node in nodes {
        let address = node.address();
        let Some(stats) = node.stats().await else {
            faults.push(format!("{address} does not answer"));
            continue;
        };
        let here = live
            .values()
            .filter(|client| client.node == address)
            .count();
        if (stats.connections, stats.entries) != (here, here as u64) || !stats.ready {
            faults.push(format!(
                "{address} has {here} clients, and reports {stats:?}"
            ));
        }
        for peer in nodes.iter().map(|peer| peer.address()) {
            if peer != address && !stats.linked.iter().any(|linked| linked == peer) {
                faults.push(format!("{address} has no link to {peer}"));
            }
        }
    }
    faults
}

/// Faults in the registry's entries and nodes.
async fn registry_faults(
    nodes: &[&NodeProcess],
    clients: &Clients,
    live: &BTreeMap<&str, &Client>,
    registry: &Arc<dyn Registry>,
) -> Result<Vec<String>, RegistryError> {
    let mut faults = Vec::new();
    let mut next = Some(Cursor::default());
    while let Some(cursor) = next {
        let page = registry.scan(cursor).await?;
        for (id, address) in page.items {
            match live.get(id.as_str()) {
                None => faults.push(format!(
                    "{id} has an entry for {address}, and is not connected"
                )),
                Some(client) if client.node == *address => {}
                Some(client) => {
                    let node = &client.node;
                    faults.push(format!("{id} has an entry for {address}, and is at {node}"));
                }
            }
        }
        next = page.next;
    }
    let ids: BTreeSet<_> = clients.all().iter().map(|client| &client.id).collect();
    for id in ids {
        let entry = registry.locate(id, true).await?.entry();
        let is_right = match (live.get(id.as_str()), &entry) {
            (None, None) => true,
            (Some(client), Some(entry)) => {
                let owned = matches!(entry.owner, Owner::Node { leased: true, .. });
                owned && *entry.address == *client.node
            }
            _ => false,
        };
        if !is_right {
            let node = live.get(id.as_str()).map(|client| &client.node);
            faults.push(format!("{id} is at {node:?}, and is located at {entry:?}"));
        }
    }
    let members = registry.nodes().await?.into_iter();
    let members: BTreeSet<_> = members
        .map(|member| (member.address.to_string(), member.leased))
        .collect();
    let expected = nodes.iter().map(|node| (node.address().to_owned(), true));
    if members != expected.collect() {
        faults.push(format!("the nodes are {members:?}"));
    }
    Ok(faults)
}

/// Connections that were closed as replaced without a newer one.
pub(super) fn replaced(clients: &Clients) -> Vec<String> {
    let was_replaced = |client: &&Client| {
        let end = client.end();
        end.is_some_and(|end| end.code == Some(CloseReason::REPLACED))
    };
    let replaced = clients.all().iter().filter(was_replaced);
    let newest =
        replaced.filter(|client| clients.others(client).all(|at| at + CLOCKS < client.asked));
    newest
        .map(|client| {
            format!(
                "{} at {} was replaced without a newer one",
                client.id, client.node
            )
        })
        .collect()
}

/// Adds the clients that some node does not reach; returns the number of answers that said that
/// nothing was sent, or that a busy machine left no time.
pub(super) async fn unreached_faults(
    nodes: &[&NodeProcess],
    clients: &Clients,
    faults: &mut Vec<String>,
) -> usize {
    static ROUNDS: AtomicUsize = AtomicUsize::new(0);
    let ids: Vec<_> = clients
        .connected()
        .map(|client| client.id.clone())
        .collect();
    let mut open = 0;
    for node in nodes {
        let text = format!("round-{}", ROUNDS.fetch_add(1, Ordering::Relaxed));
        let address = node.address();
        let mut delivered = BTreeSet::new();
        let watch = Stopwatch::start();
        for emitted in node.emit(&ids, &text).await {
            match emitted.delivery.as_str() {
                "delivered" => {
                    delivered.insert(emitted.id);
                }
                "unreachable" => open += 1,
                _ if emitted.was_given_up(&watch) => open += 1,
                _ => faults.push(format!("from {address}: {emitted:?}")),
            }
        }
        let sent = Stopwatch::start();
        for client in clients
            .connected()
            .filter(|client| delivered.contains(&client.id))
        {
            while !client.has_received(&text) && sent.elapsed() < STEP {
                pause().await;
            }
            if !client.has_received(&text) {
                let (id, at) = (&client.id, &client.node);
                faults.push(format!("{id} at {at} did not receive from {address}"));
            }
        }
    }
    open
}
