//! The same id connects to two nodes at once.
//!
//! Promise: one connection survives within a second, and the registry has its node.

use std::time::Duration;

use super::{
    checker::wait_until_consistent,
    client::Client,
    clients::Clients,
    node_process::{self, pause},
    store::Store,
};
use crate::kit::{Stopwatch, run_within};

#[test]
fn of_one_id_on_two_nodes_one_connection_survives_on_redis() {
    run_within(Duration::from_secs(30), async {
        connect_twice(Store::redis().await).await;
    });
}

#[test]
fn of_one_id_on_two_nodes_one_connection_survives_on_etcd() {
    run_within(Duration::from_secs(30), async {
        connect_twice(Store::etcd().await).await;
    });
}

async fn connect_twice(store: Store) {
    let registry = store.registry().await;
    let [a, b] = node_process::start(&store.url()).await;
    let mut clients = Clients::default();
    let mut longest = Duration::ZERO;
    for n in 0..60 {
        // Some ids are new, some are connected.
        let id = format!("same-{}", n % 40);
        let (one, two) = tokio::join!(Client::connect(&a, &id), Client::connect(&b, &id));
        let started = Stopwatch::start();
        // The older one may be refused before its connection begins.
        let results = [clients.record(&id, one), clients.record(&id, two)];
        assert!(results.iter().any(Result::is_ok), "{results:?}");
        let survivors = || clients.connected().filter(|client| client.id == id).count();
        while survivors() != 1 {
            assert!(survivors() > 0, "{id}: no connection survived");
            assert!(
                started.elapsed() < Duration::from_secs(1),
                "{id}: two are connected"
            );
            pause().await;
        }
        longest = longest.max(started.elapsed());
    }
    let rest = wait_until_consistent(Duration::from_secs(1), &[&a, &b], &clients, &registry).await;
    eprintln!("one survivor after {longest:?} at most, consistent after {rest:?}");
}
