//! A node is killed (SIGKILL).
//!
//! Promise: its clients are offline to every node within L + 1 s and its entries gone within 2.5 L
//! (on etcd a lease ends with its entries, as soon as the server notices); until then an emit to
//! them is answered `Offline`, `Unreachable` or `Unknown`, each within a second.

use std::time::Duration;

use super::{
    checker::wait_until_consistent,
    clients::Clients,
    node_process::{self, LEASE, NodeProcess, pause},
    store::Store,
};
use crate::kit::{DECIDED_WITHIN, Stopwatch, run_within};

/// The possible answers to an emit while the node is dead.
const MEANWHILE: [&str; 3] = ["offline", "unreachable", "unknown"];

#[test]
fn a_killed_nodes_clients_are_offline_within_the_lease_on_redis() {
    run_within(Duration::from_secs(30), async {
        killed(Store::redis().await, LEASE * 5 / 2).await;
    });
}

#[test]
fn a_killed_nodes_clients_are_offline_within_the_lease_on_etcd() {
    run_within(Duration::from_secs(30), async {
        // etcd checks every half second for leases that have expired.
        killed(Store::etcd().await, LEASE + Duration::from_secs(1)).await;
    });
}

async fn killed(store: Store, gone_within: Duration) {
    let registry = store.registry().await;
    let [a, mut b, c] = node_process::start(&store.url()).await;
    let mut clients = Clients::default();
    clients.fill(&[&a, &b, &c], 30).await;
    let ids = clients.ids_at(&b);
    // One of the other nodes caches the routes, one does not.
    a.deliver(&ids, "before").await;
    b.kill();
    let killed = Stopwatch::start();
    let mut offline = [None; 2];
    while offline.contains(&None) {
        for (node, offline) in [&a, &c].into_iter().zip(&mut offline) {
            let all = offline_at(node, &ids).await;
            if all && offline.is_none() {
                *offline = Some(killed.elapsed());
            }
            assert!(all || offline.is_none(), "they are online again");
        }
        pause().await;
    }
    let latest = offline.iter().flatten().max().unwrap();
    assert!(*latest < LEASE + Duration::from_secs(1), "{offline:?}");
    let left = gone_within.saturating_sub(killed.elapsed());
    wait_until_consistent(left, &[&a, &c], &clients, &registry).await;
    eprintln!(
        "offline after {offline:?}, gone after {:?}",
        killed.elapsed()
    );
    assert!(clients.ids_at(&b).is_empty(), "their sockets ended with it");
}

/// Sends to all clients; returns whether all are offline.
async fn offline_at(node: &NodeProcess, ids: &[String]) -> bool {
    let emitted = node.emit(ids, "meanwhile").await;
    for one in &emitted {
        assert!(MEANWHILE.contains(&one.delivery.as_str()), "{one:?}");
        assert!(one.took < DECIDED_WITHIN, "{one:?}");
    }
    emitted.iter().all(|one| one.delivery == "offline")
}

#[test]
fn a_restart_on_the_same_address_does_not_wait_for_the_lease_on_redis() {
    run_within(Duration::from_secs(30), async {
        restarted(Store::redis().await).await;
    });
}

#[test]
fn a_restart_on_the_same_address_does_not_wait_for_the_lease_on_etcd() {
    run_within(Duration::from_secs(30), async {
        restarted(Store::etcd().await).await;
    });
}

/// The new process finds that nobody else answers at its address, and takes it over.
async fn restarted(store: Store) {
    let registry = store.registry().await;
    node_process::outlast_the_first_lease(&store.url()).await;
    let long = || {
        let lease = Duration::from_secs(20);
        node_process::Setup {
            lease,
            ..node_process::setup(&store.url())
        }
    };
    let [a, mut b] = node_process::start_with(long).await;
    let mut clients = Clients::default();
    clients.fill(&[&a, &b], 30).await;
    let ids = clients.ids_at(&b);
    b.kill();
    let begun = Stopwatch::start();
    b = NodeProcess::start(b.setup.clone()).await;
    // Some of the clients reconnect here, and some elsewhere.
    for (index, id) in ids.iter().enumerate().skip(10) {
        let node = if index < 20 { &a } else { &b };
        clients.move_to(node, id).await;
    }
    let served = begun.elapsed();
    assert!(served < Duration::from_millis(1500), "{served:?}");
    let rest = wait_until_consistent(Duration::from_secs(3), &[&a, &b], &clients, &registry).await;
    eprintln!("served after {served:?}, consistent {rest:?} later");
    for one in a.emit(&ids[..10], "gone").await {
        assert_eq!(one.delivery, "offline", "{one:?}");
    }
}
