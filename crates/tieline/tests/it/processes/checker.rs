//! What must hold of a cluster at rest, seen from outside: by its clients, its registry, its answers.
//!
//! Each id with a live connection has exactly one, and the registry maps it to its node; nothing else
//! stands in the registry; the nodes' own counts agree; nobody was closed as replaced who was the
//! newest; and what is sent from any node to any client is delivered and read.

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
use tokio::time::{Instant, timeout};

use super::{client::Client, clients::Clients, node_process::NodeProcess, node_process::pause};

/// How long a registry or a reader has for one step of a check.
const STEP: Duration = Duration::from_secs(2);

/// How far the nodes' clocks are apart at most: as long as the fastest answer of the registry took, on
/// a busy machine. Which of two connections is the newer that came closer together is not promised.
const CLOCKS: Duration = Duration::from_millis(20);

/// Faults that a failure shows.
const SHOWN: usize = 20;

/// Waits until nothing is wrong with entries, counts and links and everyone is reached, and says how
/// long the entries took. A node may need a moment to see that the registry is back, and meanwhile
/// answer `Unreachable`, which is to say that nothing was sent; any other answer is wrong at once.
pub(super) async fn wait_until_consistent(
    within: Duration,
    nodes: &[&NodeProcess],
    clients: &Clients,
    registry: &Arc<dyn Registry>,
) -> Duration {
    let begun = Instant::now();
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
        assert!(faults.is_empty(), "at rest: {}", list(&faults));
        assert!(!is_late, "at rest: {open} answers are unreachable");
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

/// What is wrong with connections, entries, counts and links.
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

/// What is wrong with the nodes' counts and links.
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
            faults.push(format!("{address} has {here} clients, and says {stats:?}"));
        }
        for peer in nodes.iter().map(|peer| peer.address()) {
            if peer != address && !stats.linked.iter().any(|linked| linked == peer) {
                faults.push(format!("{address} has no link to {peer}"));
            }
        }
    }
    faults
}

/// What is wrong with the registry.
async fn registry_faults(
    nodes: &[&NodeProcess],
    clients: &Clients,
    live: &BTreeMap<&str, &Client>,
    registry: &Arc<dyn Registry>,
) -> Result<Vec<String>, RegistryError> {
    let mut faults = Vec::new();
    let mut next = Some(Cursor::default());
    while let Some(cursor) = next {
        let page = registry.all(cursor).await?;
        for (id, address) in page.items {
            match live.get(id.as_str()) {
                None => faults.push(format!("{id} stands for {address}, and is not connected")),
                Some(client) if client.node == *address => {}
                Some(client) => {
                    let node = &client.node;
                    faults.push(format!("{id} stands for {address}, and is at {node}"));
                }
            }
        }
        next = page.next;
    }
    let ids: BTreeSet<_> = clients.all().iter().map(|client| &client.id).collect();
    for id in ids {
        let entry = registry.locate(id, true).await?;
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
            faults.push(format!("{id} is at {node:?}, and is found as {entry:?}"));
        }
    }
    let members = registry.members().await?.into_iter();
    let members: BTreeSet<_> = members
        .map(|member| (member.address.to_string(), member.leased))
        .collect();
    let expected = nodes.iter().map(|node| (node.address().to_owned(), true));
    if members != expected.collect() {
        faults.push(format!("the members are {members:?}"));
    }
    Ok(faults)
}

/// Who was closed as replaced though nobody came after.
pub(super) fn replaced(clients: &Clients) -> Vec<String> {
    let was_replaced = |client: &&Client| {
        let end = client.end();
        end.is_some_and(|end| end.code == Some(CloseReason::REPLACED))
    };
    let replaced = clients.all().iter().filter(was_replaced);
    let newest =
        replaced.filter(|client| clients.others(client).all(|at| at + CLOCKS < client.asked));
    newest
        .map(|client| format!("{} at {} was replaced by nobody", client.id, client.node))
        .collect()
}

/// Adds who is not reached from some node; how many answers said that nothing was sent.
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
        for emitted in node.emit(&ids, &text).await {
            match emitted.delivery.as_str() {
                "delivered" => {
                    delivered.insert(emitted.id);
                }
                "unreachable" => open += 1,
                _ => faults.push(format!("from {address}: {emitted:?}")),
            }
        }
        let deadline = Instant::now() + STEP;
        for client in clients
            .connected()
            .filter(|client| delivered.contains(&client.id))
        {
            while !client.has_received(&text) && Instant::now() < deadline {
                pause().await;
            }
            if !client.has_received(&text) {
                let (id, at) = (&client.id, &client.node);
                faults.push(format!("{id} at {at} did not hear from {address}"));
            }
        }
    }
    open
}
