//! Two processes with the same advertised address.
//!
//! Promise: the second accepts no clients and says why, without effect on the first; it takes over
//! the address once the first is gone.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    checker::wait_until_consistent,
    client::ConnectError,
    clients::Clients,
    node_process::{self, LEASE, NodeProcess, Setup, pause},
    store::Store,
};
use crate::kit::{Stopwatch, run_within};

#[test]
fn a_second_process_waits_for_the_address_of_a_node_that_drains_on_redis() {
    run_within(Duration::from_secs(30), async {
        second_process(Store::redis().await, End::Drain).await;
    });
}

#[test]
fn a_second_process_waits_for_the_address_of_a_node_that_dies_on_redis() {
    run_within(Duration::from_secs(30), async {
        second_process(Store::redis().await, End::Kill).await;
    });
}

#[test]
fn a_second_process_waits_for_the_address_of_a_node_that_dies_on_etcd() {
    run_within(Duration::from_secs(30), async {
        second_process(Store::etcd().await, End::Kill).await;
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Drain,
    Kill,
}

async fn second_process(store: Store, end: End) {
    let registry = store.registry().await;
    let [a, mut b] = node_process::start(&store.url()).await;
    let mut clients = Clients::default();
    clients.fill(&[&a, &b], 20).await;
    // It has another peer port, but advertises the same address.
    let second = NodeProcess::start(Setup {
        advertise: b.address().to_owned(),
        ..node_process::setup(&store.url())
    })
    .await;
    let begun = Instant::now();
    while begun.elapsed() < LEASE * 3 / 2 {
        let stats = second.stats().await.unwrap();
        let why = stats.not_ready_because.unwrap_or_default();
        assert!(!stats.ready && why.contains(b.address()), "{why:?}");
        let id = &clients.ids_at(&b)[0];
        let Err(ConnectError::Refused(503, why)) = clients.connect(&second, id).await else {
            panic!("it accepts clients")
        };
        assert!(why.contains("another process holds"), "{why:?}");
        pause().await;
    }
    let rest = wait_until_consistent(LEASE, &[&a, &b], &clients, &registry).await;
    assert_eq!(
        clients.connected().count(),
        40,
        "the first process is not affected"
    );

    let gone = Stopwatch::start();
    match end {
        End::Drain => b.terminate(),
        End::Kill => b.kill(),
    }
    b.ended().await;
    while !second.stats().await.unwrap().ready {
        pause().await;
    }
    let ready = gone.elapsed();
    // It waits for the lease of a process that dies; it tries three times in each lease.
    let lease = if end == End::Kill { LEASE } else { LEASE / 3 };
    assert!(ready < lease + LEASE, "{ready:?}");
    clients.connect(&second, "late").await.unwrap();
    let owner = registry
        .locate("late", true)
        .await
        .unwrap()
        .entry()
        .unwrap();
    assert_eq!(*owner.address, *second.address());
    eprintln!("not affected ({rest:?}); the second serves after {ready:?}");
}
