//! Three nodes are restarted in turn, under load.
//!
//! Promise: what was `Delivered` is received by a client that reads, whenever its node ends; the
//! closes (1012) are spread over the drain window; clients reconnect elsewhere at once; and
//! afterwards the registry has exactly the connected clients.

use std::{cell::Cell, time::Duration};

use tokio::time::Instant;

use super::{
    checker::wait_until_consistent,
    client::Client,
    clients::Clients,
    node_process::{self, NodeProcess, pause},
    store::Store,
};
use crate::kit::{Stopwatch, run_within};

/// Clients of each node at the start.
const CLIENTS: usize = 40;

/// The time over which the closes of a node are spread.
const WINDOW: Duration = Duration::from_millis(800);

/// What the node does before it closes the first, and the test before it notices.
const SLACK: Duration = Duration::from_millis(150);

#[test]
fn a_rolling_restart_loses_nothing_that_was_delivered_on_redis() {
    run_within(Duration::from_mins(1), async {
        restart_all(Store::redis().await).await;
    });
}

#[test]
fn a_rolling_restart_loses_nothing_that_was_delivered_on_etcd() {
    run_within(Duration::from_mins(1), async {
        restart_all(Store::etcd().await).await;
    });
}

async fn restart_all(store: Store) {
    let registry = store.registry().await;
    let setup = || node_process::Setup {
        drain_window: WINDOW,
        ..node_process::setup(&store.url())
    };
    let [sender, mut a, mut b, mut c] = node_process::start_with(setup).await;
    let mut clients = Clients::default();
    clients.fill(&[&a, &b, &c], CLIENTS).await;
    let ids: Vec<_> = clients
        .connected()
        .map(|client| client.id.clone())
        .collect();
    let over = Cell::new(false);
    let restarts = async {
        // The clients move to the other two nodes in turn, including the one that was just
        // restarted.
        restart(&mut a, [&b, &c], &mut clients).await;
        restart(&mut b, [&c, &a], &mut clients).await;
        restart(&mut c, [&a, &b], &mut clients).await;
        over.set(true);
    };
    let ((), sent) = tokio::join!(restarts, send(&sender, &ids, &over));
    let nodes = [&sender, &a, &b, &c];
    let took = wait_until_consistent(Duration::from_secs(5), &nodes, &clients, &registry).await;
    assert_eq!(
        clients.connected().count(),
        ids.len(),
        "every client is back"
    );
    clients.all().iter().for_each(in_order);
    let delivered: Vec<_> = sent.iter().filter(|sent| sent.delivered).collect();
    for Sent { id, text, .. } in &delivered {
        let mut all_clients = clients.all().iter().filter(|client| client.id == *id);
        assert!(
            all_clients.any(|client| client.has_received(text)),
            "{id} lost {text}"
        );
    }
    let (sent, delivered) = (sent.len(), delivered.len());
    assert!(delivered > sent / 2, "{delivered} of {sent}");
    eprintln!("{delivered} of {sent} delivered, all of them received; consistent after {took:?}");
}

/// A connection received its messages in the order in which they were sent.
fn in_order(client: &Client) {
    let texts = client.texts().into_iter();
    let numbers = texts.filter_map(|text| text.strip_prefix('n')?.parse::<usize>().ok());
    let numbers: Vec<_> = numbers.collect();
    assert!(numbers.is_sorted(), "{} read {numbers:?}", client.id);
}

/// One message to one client.
struct Sent {
    id: String,
    text: String,
    delivered: bool,
}

/// Sends consecutive numbers to all clients until `over` is set.
async fn send(sender: &NodeProcess, ids: &[String], over: &Cell<bool>) -> Vec<Sent> {
    let mut all = Vec::new();
    for number in 0.. {
        if over.get() {
            break;
        }
        let text = format!("n{number}");
        let emitted = sender.emit(ids, &text).await.into_iter();
        all.extend(emitted.map(|one| Sent {
            delivered: one.delivery == "delivered",
            id: one.id,
            text: text.clone(),
        }));
        pause().await;
    }
    all
}

/// Drains a node and starts it again at once; its clients move to the others.
async fn restart(node: &mut NodeProcess, others: [&NodeProcess; 2], clients: &mut Clients) {
    let leaving = clients.ids_at(node);
    let (asked, watch) = (Instant::now(), Stopwatch::start());
    node.terminate();
    let mut ends = Vec::new();
    while ends.len() < leaving.len() {
        for id in &leaving {
            let client = clients.newest(id);
            let end = client.end().filter(|_| client.node == node.address());
            if let Some(end) = end {
                assert_eq!(end.code, Some(1012), "{id}");
                ends.push(end.at - asked);
                let next = others[ends.len() % others.len()];
                clients.move_to(next, id).await;
            }
        }
        pause().await;
    }
    let late = watch.delayed();
    assert!(node.ended().await.success(), "an orderly end");
    let drained = asked.elapsed();
    assert_spread(&mut ends, late);
    let ended = Instant::now();
    *node = NodeProcess::start(node.setup.clone()).await;
    let again = ended.elapsed();
    eprintln!("drained within {drained:?}, served again {again:?} later");
}

/// The closes are spread over the whole window, and end with it. None comes earlier than it is due, and
/// later only because the machine is busy, by `late` at most.
fn assert_spread(ends: &mut [Duration], late: Duration) {
    ends.sort_unstable();
    let (first, last) = (ends[0], ends[ends.len() - 1]);
    let latest = WINDOW + SLACK + late;
    assert!(first < SLACK + late && last < latest, "{late:?}: {ends:?}");
    for quarter in 1..4 {
        let due = WINDOW * quarter / 4;
        let even = ends.len() * quarter as usize / 4;
        let before = |due| ends.partition_point(|end| *end < due);
        let (come, come_late) = (before(due), before(due + SLACK + late));
        assert!(
            come <= even + ends.len() / 6 && come_late + ends.len() / 6 >= even,
            "{come}, then {come_late} of {even} within {due:?}, {late:?}: {ends:?}"
        );
    }
}
