//! The checker detects faults that are made behind the cluster's back.
//!
//! Leases and audit intervals are long, so that nothing is repaired before it is detected.

use std::time::Duration;

use tieline_test_servers::redis::Redis;

use super::{
    checker::{replaced, state_faults, unreached_faults, wait_until_consistent},
    clients::Clients,
    node_process::{self, LEASE, NodeProcess, Setup, pause},
    store::reader,
};
use crate::kit::run_within;

/// A cluster that repairs nothing for a minute.
async fn start(redis: &Redis) -> ([NodeProcess; 2], Clients) {
    let lease = Duration::from_mins(3);
    let setup = || Setup {
        lease,
        audit: lease,
        ..node_process::setup(&redis.url())
    };
    let nodes = node_process::start_with(setup).await;
    let mut clients = Clients::default();
    clients.fill(&nodes.each_ref(), 5).await;
    let registry = reader(&redis.url()).await;
    wait_until_consistent(LEASE, &nodes.each_ref(), &clients, &registry).await;
    (nodes, clients)
}

/// Whether some fault contains all of these parts.
fn contains_fault(faults: &[String], what: &[&str]) -> bool {
    let says = |fault: &String| what.iter().all(|part| fault.contains(part));
    faults.iter().any(says)
}

async fn set_entry(redis: &Redis, id: &str, address: &str) {
    redis.command::<()>(&["HSET", "nodes", id, address]).await;
}

#[test]
fn the_checker_finds_wrong_entries() {
    run_within(Duration::from_secs(20), async {
        let redis = Redis::start().await;
        let registry = reader(&redis.url()).await;
        let (nodes, clients) = start(&redis).await;
        let nodes = nodes.each_ref();
        let [a, b] = nodes;
        let check = async || state_faults(&nodes, &clients, &registry).await;

        // The entry of a connected client is deleted, both parts of it.
        let own = "{nodes}:own";
        let shadow: String = redis.command(&["HGET", own, "g0"]).await;
        redis.command::<()>(&["HDEL", "nodes", "g0"]).await;
        redis.command::<()>(&["HDEL", own, "g0"]).await;
        let faults = check().await;
        assert!(
            contains_fault(&faults, &["g0", a.address(), "None"]),
            "{faults:?}"
        );
        set_entry(&redis, "g0", a.address()).await;
        redis.command::<()>(&["HSET", own, "g0", &shadow]).await;
        assert_eq!(check().await, [""; 0]);

        // The entry names another node.
        set_entry(&redis, "g0", b.address()).await;
        let faults = check().await;
        assert!(
            contains_fault(&faults, &["g0 has an entry for", "is at"]),
            "{faults:?}"
        );
        set_entry(&redis, "g0", a.address()).await;

        // An entry, and then a shadow, without a connection.
        set_entry(&redis, "ghost", a.address()).await;
        let faults = check().await;
        assert!(
            contains_fault(&faults, &["ghost", "is not connected"]),
            "{faults:?}"
        );
        redis.command::<()>(&["HDEL", "nodes", "ghost"]).await;
        clients.newest("g1").leave();
        while !check().await.is_empty() {
            pause().await;
        }
        let shadow = shadow.replace(a.address(), b.address());
        redis.command::<()>(&["HSET", own, "g1", &shadow]).await;
        let faults = check().await;
        assert!(
            contains_fault(&faults, &["g1 is at None", b.address()]),
            "{faults:?}"
        );
    });
}

#[test]
fn the_checker_finds_wrong_connections() {
    run_within(Duration::from_secs(20), async {
        let redis = Redis::start().await;
        let registry = reader(&redis.url()).await;
        let (nodes, mut clients) = start(&redis).await;
        let [a, b] = &nodes;

        // A replacement by a newer connection is correct, one without is not.
        clients.move_to(b, "g0").await;
        let older = clients.all().iter().find(|client| client.id == "g0");
        assert_eq!(older.unwrap().until_ended().await, Some(4409));
        assert_eq!(replaced(&clients), [""; 0]);
        a.ask::<String>("/close?id=g1&code=4409").await.unwrap();
        assert_eq!(clients.newest("g1").until_ended().await, Some(4409));
        let faults = replaced(&clients);
        assert!(
            contains_fault(&faults, &["g1", "replaced without a newer one"]),
            "{faults:?}"
        );

        // Two connections with one id, on nodes that cannot know of each other.
        let stranger = NodeProcess::start(Setup {
            prefix: "another".to_owned(),
            ..node_process::setup(&redis.url())
        })
        .await;
        clients.connect(&stranger, "g2").await.unwrap();
        let faults = state_faults(&nodes.each_ref(), &clients, &registry).await;
        assert!(
            contains_fault(&faults, &["g2 is connected to", "and to"]),
            "{faults:?}"
        );

        // A message to one of them is not received by the other, and the third is not found.
        clients.connect(&stranger, "lost").await.unwrap();
        let mut faults = Vec::new();
        unreached_faults(&nodes.each_ref(), &clients, &mut faults).await;
        assert!(
            contains_fault(&faults, &["g2", "did not receive"]),
            "{faults:?}"
        );
        // The registry is new, so a missing entry proves nothing.
        assert!(contains_fault(&faults, &["lost", "unknown"]), "{faults:?}");
    });
}
