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

use super::{fleet::Process, fleet::pause, guest::Guest, party::Party};

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
pub(super) async fn at_rest(
    within: Duration,
    nodes: &[&Process],
    party: &Party,
    registry: &Arc<dyn Registry>,
) -> Duration {
    let begun = Instant::now();
    loop {
        let faults = standing(nodes, party, registry).await;
        if faults.is_empty() {
            break;
        }
        let waited = begun.elapsed();
        assert!(waited < within, "after {waited:?}: {}", list(&faults));
        pause().await;
    }
    let took = begun.elapsed();
    loop {
        let mut faults = replaced(party);
        let open = unreached(nodes, party, &mut faults).await;
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
pub(super) async fn standing(
    nodes: &[&Process],
    party: &Party,
    registry: &Arc<dyn Registry>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut live: BTreeMap<&str, &Guest> = BTreeMap::new();
    for guest in party.live() {
        if let Some(other) = live.insert(&guest.id, guest) {
            let (id, one, two) = (&guest.id, &other.node, &guest.node);
            faults.push(format!("{id} is connected to {one} and to {two}"));
        }
    }
    faults.extend(counted(nodes, &live).await);
    let listed = timeout(STEP, entered(nodes, party, &live, registry)).await;
    match listed {
        Ok(Ok(found)) => faults.extend(found),
        Ok(Err(error)) => faults.push(format!("the registry fails: {error}")),
        Err(_) => faults.push("the registry does not answer".to_owned()),
    }
    faults
}

/// What is wrong with the nodes' counts and links.
async fn counted(nodes: &[&Process], live: &BTreeMap<&str, &Guest>) -> Vec<String> {
    let mut faults = Vec::new();
    for node in nodes {
        let address = node.address();
        let Some(stats) = node.stats().await else {
            faults.push(format!("{address} does not answer"));
            continue;
        };
        let here = live.values().filter(|guest| guest.node == address).count();
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
async fn entered(
    nodes: &[&Process],
    party: &Party,
    live: &BTreeMap<&str, &Guest>,
    registry: &Arc<dyn Registry>,
) -> Result<Vec<String>, RegistryError> {
    let mut faults = Vec::new();
    let mut next = Some(Cursor::default());
    while let Some(cursor) = next {
        let page = registry.scan(cursor).await?;
        for (id, address) in page.items {
            match live.get(id.as_str()) {
                None => faults.push(format!("{id} stands for {address}, and is not connected")),
                Some(guest) if guest.node == *address => {}
                Some(guest) => {
                    let node = &guest.node;
                    faults.push(format!("{id} stands for {address}, and is at {node}"));
                }
            }
        }
        next = page.next;
    }
    let ids: BTreeSet<_> = party.guests().iter().map(|guest| &guest.id).collect();
    for id in ids {
        let entry = registry.locate(id, true).await?;
        let is_right = match (live.get(id.as_str()), &entry) {
            (None, None) => true,
            (Some(guest), Some(entry)) => {
                let owned = matches!(entry.owner, Owner::Node { leased: true, .. });
                owned && *entry.address == *guest.node
            }
            _ => false,
        };
        if !is_right {
            let node = live.get(id.as_str()).map(|guest| &guest.node);
            faults.push(format!("{id} is at {node:?}, and is found as {entry:?}"));
        }
    }
    let members = registry.nodes().await?.into_iter();
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
pub(super) fn replaced(party: &Party) -> Vec<String> {
    let was_replaced = |guest: &&Guest| {
        let end = guest.end();
        end.is_some_and(|end| end.code == Some(CloseReason::REPLACED))
    };
    let replaced = party.guests().iter().filter(was_replaced);
    let newest = replaced.filter(|guest| party.others(guest).all(|at| at + CLOCKS < guest.asked));
    newest
        .map(|guest| format!("{} at {} was replaced by nobody", guest.id, guest.node))
        .collect()
}

/// Adds who is not reached from some node; how many answers said that nothing was sent.
pub(super) async fn unreached(
    nodes: &[&Process],
    party: &Party,
    faults: &mut Vec<String>,
) -> usize {
    static ROUNDS: AtomicUsize = AtomicUsize::new(0);
    let ids: Vec<_> = party.live().map(|guest| guest.id.clone()).collect();
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
        for guest in party.live().filter(|guest| delivered.contains(&guest.id)) {
            while !guest.has_heard(&text) && Instant::now() < deadline {
                pause().await;
            }
            if !guest.has_heard(&text) {
                let (id, at) = (&guest.id, &guest.node);
                faults.push(format!("{id} at {at} did not hear from {address}"));
            }
        }
    }
    open
}
