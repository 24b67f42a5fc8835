//! Two connections with one id, on two nodes.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tieline::{CloseReason, ClusterConfig, Config, Delivery, Duplicate, registry::Registry};

use crate::kit::{
    Mode, Reader, Stopwatch, TestNode, eventually, memory_registry, run, test_config,
};

const ROUNDS: usize = 200;
/// Rounds that run at the same time.
const CONCURRENT: usize = 20;

#[test]
fn of_two_simultaneous_connections_one_survives() {
    run(async {
        let registry = memory_registry();
        let nodes: [TestNode; 3] = TestNode::start_linked(&registry).await;
        for first in (0..ROUNDS).step_by(CONCURRENT) {
            let rounds =
                (first..first + CONCURRENT).map(|round| connect_twice(&registry, &nodes, round));
            join_all(rounds).await;
        }
    });
}

async fn connect_twice(registry: &Arc<dyn Registry>, nodes: &[TestNode; 3], round: usize) {
    let id = format!("same-{round}");
    let query = format!("id={id}&quiet");
    let [a, b, c] = nodes;
    let ((first, at_a), (second, at_b)) =
        tokio::join!(a.try_connect(&query), b.try_connect(&query));
    let answered = Stopwatch::start();
    let statuses = [at_a.status, at_b.status];
    assert!(statuses.contains(&101), "round {round}: {at_a:?} {at_b:?}");
    assert!(
        statuses.iter().all(|status| [101, 503].contains(status)),
        "round {round}: {at_a:?} {at_b:?}"
    );
    eventually(|| a.has(&id) != b.has(&id)).await;
    let took = answered.elapsed();
    assert!(took < Duration::from_secs(1), "round {round}: {took:?}");
    let readers = [Reader::new(first), Reader::new(second)];
    let winner = usize::from(b.has(&id));
    assert_eq!(statuses[winner], 101, "round {round}");
    if statuses[1 - winner] == 101 {
        let code = readers[1 - winner].until_closed().await;
        assert_eq!(code, Some(CloseReason::REPLACED), "round {round}");
    }
    for member in [c, a, b] {
        let delivery = member.cluster.emit(&id, "the winner is").await;
        assert_eq!(delivery, Delivery::Delivered, "round {round}");
    }
    eventually(|| readers[winner].texts().len() == 3).await;
    let entry = registry.locate(&id, true).await.unwrap().entry().unwrap();
    assert_eq!(*entry.address, nodes[winner].peer_address());
    assert_eq!(readers[winner].code(), None);
}

#[test]
fn a_lost_evict_is_repaired_by_the_count_of_entries() {
    run(async {
        let registry = memory_registry();
        let seldom = || ClusterConfig {
            audit_interval: Duration::from_hours(1),
            ..test_config()
        };
        let (old, way) = TestNode::behind_proxy(&registry, Config::default(), seldom()).await;
        let new = TestNode::start_with(&registry, Config::default(), seldom()).await;
        let other = TestNode::start_with(&registry, Config::default(), seldom()).await;
        new.wait_for_links(2).await;
        other.wait_for_links(2).await;
        let half_open = old.reader("id=ann&quiet").await;
        way.set(Mode::SilentThere);
        let newest = new.reader("id=ann&quiet").await;
        let moved = Stopwatch::start();
        // Messages go to the new connection before the old node knows.
        for from in [&new, &other] {
            assert_eq!(from.cluster.emit("ann", "moved").await, Delivery::Delivered);
        }
        assert_eq!(half_open.until_closed().await, Some(CloseReason::REPLACED));
        // Two renewals after the one in progress, each every third of the lease.
        let bound = test_config().lease + Duration::from_millis(100);
        assert!(moved.elapsed() <= bound, "{:?}", moved.elapsed());
        eventually(|| !old.has("ann")).await;
        assert_eq!(
            old.cluster.emit("ann", "followed").await,
            Delivery::Delivered
        );
        newest.until("followed").await;
        assert_eq!((newest.texts().len(), newest.code()), (3, None));
    });
}

#[test]
fn with_reject_the_second_connection_is_refused_on_any_node() {
    run(async {
        let registry = memory_registry();
        let config = Config {
            duplicate: Duplicate::Reject,
            ..Config::default()
        };
        let a = TestNode::start_with(&registry, config.clone(), test_config()).await;
        let b = TestNode::start_with(&registry, config, test_config()).await;
        a.wait_for_links(1).await;
        let mut first = a.client("id=one").await;
        for _ in 0..20 {
            let (_, answer) = b.try_connect("id=one").await;
            assert_eq!(answer.status, 409, "{answer:?}");
            assert!(!b.has("one"));
            assert_eq!(b.cluster.emit("one", "unharmed").await, Delivery::Delivered);
            assert_eq!(first.text().await, "unharmed");
        }
        first.close(1000).await;
        let mut second = loop {
            match b.try_connect("id=one&quiet").await {
                (raw, answer) if answer.status == 101 => break raw,
                (_, answer) => assert_eq!(answer.status, 409),
            }
        };
        assert_eq!(a.cluster.emit("one", "let in").await, Delivery::Delivered);
        assert_eq!(second.text().await, "let in");
    });
}

#[test]
fn with_reject_one_of_two_simultaneous_connections_is_accepted() {
    run(async {
        let registry = memory_registry();
        let config = Config {
            duplicate: Duplicate::Reject,
            ..Config::default()
        };
        let a = TestNode::start_with(&registry, config.clone(), test_config()).await;
        let b = TestNode::start_with(&registry, config, test_config()).await;
        a.wait_for_links(1).await;
        for round in 0..100 {
            let query = format!("id={round}");
            let (at_a, at_b) = tokio::join!(a.try_connect(&query), b.try_connect(&query));
            let mut statuses = [at_a.1.status, at_b.1.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [101, 409], "round {round}");
        }
    });
}

#[test]
fn with_reject_a_single_node_needs_no_registry() {
    run(async {
        let config = Config {
            duplicate: Duplicate::Reject,
            ..Config::default()
        };
        let node = TestNode::single(config).await;
        let mut first = node.client("id=one").await;
        let (_, answer) = node.try_connect("id=one").await;
        assert_eq!(answer.status, 409, "{answer:?}");
        assert!(node.cluster.emit("one", "alone").await.is_delivered());
        assert_eq!(first.text().await, "alone");
    });
}
