//! The checker finds what it is there to find: faults made on purpose, behind the cluster's back.
//!
//! Leases and audits are so long that nothing is repaired before it is seen.

use std::time::Duration;

use tieline_test_servers::redis::Redis;

use super::{
    checker::{at_rest, replaced, standing, unreached},
    fleet::{self, LEASE, Process, Setup, pause},
    party::Party,
    store::reader,
};
use crate::kit::run_within;

/// A cluster that repairs nothing for a minute.
async fn start(redis: &Redis) -> ([Process; 2], Party) {
    let lease = Duration::from_mins(3);
    let setup = || Setup {
        lease,
        audit: lease,
        ..fleet::setup(&redis.url())
    };
    let nodes = fleet::start_with(setup).await;
    let mut party = Party::default();
    party.fill(&nodes.each_ref(), 5).await;
    let registry = reader(&redis.url()).await;
    at_rest(LEASE, &nodes.each_ref(), &party, &registry).await;
    (nodes, party)
}

/// Whether the one fault, or one of them, says this.
fn told(faults: &[String], what: &[&str]) -> bool {
    let says = |fault: &String| what.iter().all(|part| fault.contains(part));
    faults.iter().any(says)
}

#[test]
fn the_checker_finds_wrong_entries() {
    run_within(Duration::from_secs(20), async {
        let redis = Redis::start().await;
        let registry = reader(&redis.url()).await;
        let (nodes, party) = start(&redis).await;
        let nodes = nodes.each_ref();
        let [a, b] = nodes;
        let check = async || standing(&nodes, &party, &registry).await;

        // The entry of a live connection is deleted, both parts of it.
        let own = "{fleet}:own";
        let shadow: String = redis.command(&["HGET", own, "g0"]).await;
        redis.command::<()>(&["HDEL", "fleet", "g0"]).await;
        redis.command::<()>(&["HDEL", own, "g0"]).await;
        let faults = check().await;
        assert!(told(&faults, &["g0", a.address(), "None"]), "{faults:?}");
        redis
            .command::<()>(&["HSET", "fleet", "g0", a.address()])
            .await;
        redis.command::<()>(&["HSET", own, "g0", &shadow]).await;
        assert_eq!(check().await, [""; 0]);

        // It names another node.
        redis
            .command::<()>(&["HSET", "fleet", "g0", b.address()])
            .await;
        let faults = check().await;
        assert!(told(&faults, &["g0 stands for", "is at"]), "{faults:?}");
        redis
            .command::<()>(&["HSET", "fleet", "g0", a.address()])
            .await;

        // An entry, and then a shadow, without a connection.
        redis
            .command::<()>(&["HSET", "fleet", "ghost", a.address()])
            .await;
        let faults = check().await;
        assert!(told(&faults, &["ghost", "is not connected"]), "{faults:?}");
        redis.command::<()>(&["HDEL", "fleet", "ghost"]).await;
        party.last("g1").leave();
        while !check().await.is_empty() {
            pause().await;
        }
        let shadow = shadow.replace(a.address(), b.address());
        redis.command::<()>(&["HSET", own, "g1", &shadow]).await;
        let faults = check().await;
        assert!(told(&faults, &["g1 is at None", b.address()]), "{faults:?}");
    });
}

#[test]
fn the_checker_finds_wrong_connections() {
    run_within(Duration::from_secs(20), async {
        let redis = Redis::start().await;
        let registry = reader(&redis.url()).await;
        let (nodes, mut party) = start(&redis).await;
        let [a, b] = &nodes;

        // A replacement by a newer one is right, one by nobody is not.
        party.enter(b, "g0").await.unwrap();
        let older = party.guests().iter().find(|guest| guest.id == "g0");
        assert_eq!(older.unwrap().until_ended().await, Some(4409));
        assert_eq!(replaced(&party), [""; 0]);
        a.ask::<String>("/close?id=g1&code=4409").await.unwrap();
        assert_eq!(party.last("g1").until_ended().await, Some(4409));
        let faults = replaced(&party);
        assert!(told(&faults, &["g1", "replaced by nobody"]), "{faults:?}");

        // Two connections of one id, on nodes that cannot know of each other.
        let stranger = Process::start(Setup {
            prefix: "another".to_owned(),
            ..fleet::setup(&redis.url())
        })
        .await;
        party.enter(&stranger, "g2").await.unwrap();
        let faults = standing(&nodes.each_ref(), &party, &registry).await;
        assert!(
            told(&faults, &["g2 is connected to", "and to"]),
            "{faults:?}"
        );

        // What is sent to one of them is not read by the other, and nobody finds the third.
        party.enter(&stranger, "lost").await.unwrap();
        let mut faults = Vec::new();
        unreached(&nodes.each_ref(), &party, &mut faults).await;
        assert!(told(&faults, &["g2", "did not hear"]), "{faults:?}");
        assert!(told(&faults, &["lost", "offline"]), "{faults:?}");
    });
}
