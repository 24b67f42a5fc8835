//! Two processes with the same advertised address.
//!
//! Promise: the second takes no clients and says why, the first is unharmed; the second takes its place
//! when it is gone.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    checker::at_rest,
    node_process::{self, LEASE, Process, Setup, pause},
    client::Refused,
    clients::Party,
    store::Store,
};
use crate::kit::run_within;

#[test]
fn a_twin_waits_for_the_address_of_a_node_that_drains_on_redis() {
    run_within(Duration::from_secs(30), async {
        twins(Store::redis().await, End::Drain).await;
    });
}

#[test]
fn a_twin_waits_for_the_address_of_a_node_that_dies_on_redis() {
    run_within(Duration::from_secs(30), async {
        twins(Store::redis().await, End::Kill).await;
    });
}

#[test]
fn a_twin_waits_for_the_address_of_a_node_that_dies_on_etcd() {
    run_within(Duration::from_secs(30), async {
        twins(Store::etcd().await, End::Kill).await;
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Drain,
    Kill,
}

async fn twins(store: Store, end: End) {
    let registry = store.registry().await;
    let [a, mut b] = node_process::start(&store.url()).await;
    let mut party = Party::default();
    party.fill(&[&a, &b], 20).await;
    // Its port for peers is another, but it gives out the same address.
    let twin = Process::start(Setup {
        advertise: b.address().to_owned(),
        ..node_process::setup(&store.url())
    })
    .await;
    let begun = Instant::now();
    while begun.elapsed() < LEASE * 3 / 2 {
        let stats = twin.stats().await.unwrap();
        let why = stats.unwell.unwrap_or_default();
        assert!(!stats.ready && why.contains(b.address()), "{why:?}");
        let id = &party.ids_at(&b)[0];
        let Err(Refused::Answer(503, why)) = party.enter(&twin, id).await else {
            panic!("it takes clients")
        };
        assert!(why.contains("another process holds"), "{why:?}");
        pause().await;
    }
    let rest = at_rest(LEASE, &[&a, &b], &party, &registry).await;
    assert_eq!(party.live().count(), 40, "the first is unharmed");

    let gone = Instant::now();
    match end {
        End::Drain => b.terminate(),
        End::Kill => b.kill(),
    }
    b.ended().await;
    while !twin.stats().await.unwrap().ready {
        pause().await;
    }
    let ready = gone.elapsed();
    // What it waits for is the lease of one that dies; then it tries three times in each lease.
    let lease = if end == End::Kill { LEASE } else { LEASE / 3 };
    assert!(ready < lease + LEASE, "{ready:?}");
    party.enter(&twin, "late").await.unwrap();
    let owner = registry.locate("late", true).await.unwrap().unwrap();
    assert_eq!(*owner.address, *twin.address());
    eprintln!("unharmed ({rest:?}); the second serves after {ready:?}");
}
