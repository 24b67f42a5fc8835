//! The same id on two nodes at once.
//!
//! Promise: one survivor within a second, and the registry agrees.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    checker::at_rest,
    node_process::{self, pause},
    client::Guest,
    clients::Party,
    store::Store,
};
use crate::kit::run_within;

#[test]
fn of_one_id_on_two_nodes_one_connection_survives_on_redis() {
    run_within(Duration::from_secs(30), async {
        duels(Store::redis().await).await;
    });
}

#[test]
fn of_one_id_on_two_nodes_one_connection_survives_on_etcd() {
    run_within(Duration::from_secs(30), async {
        duels(Store::etcd().await).await;
    });
}

async fn duels(store: Store) {
    let registry = store.registry().await;
    let [a, b] = node_process::start(&store.url()).await;
    let mut party = Party::default();
    let mut longest = Duration::ZERO;
    for n in 0..60 {
        // Some ids are new, some are connected already.
        let id = format!("duel-{}", n % 40);
        let (one, two) = tokio::join!(Guest::enter(&a, &id), Guest::enter(&b, &id));
        let begun = Instant::now();
        // Who comes too late may be told so before its connection begins.
        let entered = [party.note(&id, one), party.note(&id, two)];
        assert!(entered.iter().any(Result::is_ok), "{entered:?}");
        let survivors = || party.live().filter(|guest| guest.id == id).count();
        while survivors() != 1 {
            assert!(survivors() > 0, "{id}: nobody survived");
            assert!(begun.elapsed() < Duration::from_secs(1), "{id}: two live");
            pause().await;
        }
        longest = longest.max(begun.elapsed());
    }
    let rest = at_rest(Duration::from_secs(1), &[&a, &b], &party, &registry).await;
    eprintln!("one survivor after {longest:?} at most, the registry agrees after {rest:?}");
}
