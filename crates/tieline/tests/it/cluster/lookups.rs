//! Answers of the registry that are old, or missing.

use std::{sync::Arc, time::Duration};

use tieline::{
    CloseCode, CloseFrame, ClusterConfig, Config, Delivery, MAX_NAME, Membership, OnlineStatus,
    registry::Registry,
};
use tokio::time::sleep;

use crate::kit::{
    Mode, Mood, Stopwatch, Store, TestNode, WAITING_DECIDED_WITHIN, run, test_config,
};

#[test]
fn an_answer_older_than_a_call_does_not_make_its_client_offline() {
    run(async {
        let registry: Arc<dyn Registry> = Store::stale(Duration::from_millis(150));
        let [a, b]: [TestNode; 2] = TestNode::start_linked(&registry).await;
        for round in 0..5 {
            let id = format!("late-{round}");
            let early = a.cluster.emit(&id, "early");
            // The registry reads before the client connects, and answers after.
            sleep(Duration::from_millis(5)).await;
            let client = b.reader(&format!("id={id}&quiet")).await;
            let later: Vec<_> = (0..10)
                .map(|n| a.cluster.emit(&id, n.to_string()))
                .collect();
            assert_eq!(early.await, Delivery::Offline, "round {round}");
            for receipt in later {
                assert_eq!(receipt.await, Delivery::Delivered, "round {round}");
            }
            client.until("9").await;
            assert_eq!(client.numbers(), (0..10).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_registry_that_misses_one_lookup_is_asked_again_soon() {
    run(async {
        let store = Store::slow(Duration::ZERO);
        let registry: Arc<dyn Registry> = store.clone();
        // The list of nodes is read every few seconds only.
        let config = ClusterConfig {
            registry_timeout: Duration::from_millis(200),
            ..ClusterConfig::default()
        };
        let a = TestNode::start_with(&registry, Config::default(), config.clone()).await;
        let b = TestNode::start_with(&registry, Config::default(), config).await;
        b.wait_for_links(1).await;
        let client = b.reader("id=ben&quiet").await;
        store.set(Mood::Hangs);
        assert_eq!(a.cluster.emit("nobody", "x").await, Delivery::Unreachable);
        store.set(Mood::Well);
        let back = Stopwatch::start();
        while !a.cluster.emit("ben", "found").await.is_delivered() {
            sleep(Duration::from_millis(5)).await;
        }
        client.until("found").await;
        assert!(
            back.elapsed() < Duration::from_secs(1),
            "{:?}",
            back.elapsed()
        );
    });
}

#[test]
fn a_lookup_that_is_not_answered_fails_alone() {
    run(async {
        let store = Store::slow(Duration::ZERO);
        let registry: Arc<dyn Registry> = store.clone();
        // The list of nodes is read every few seconds only.
        let config = ClusterConfig {
            registry_timeout: Duration::from_millis(200),
            ..ClusterConfig::default()
        };
        let a = TestNode::start_with(&registry, Config::default(), config.clone()).await;
        let b = TestNode::start_with(&registry, Config::default(), config).await;
        b.wait_for_links(1).await;
        let mut clients = Vec::new();
        for n in 0..5 {
            clients.push(b.reader(&format!("id=ben-{n}&quiet")).await);
        }
        store.stick("stuck");
        for n in 0..5 {
            let stuck = a.cluster.emit("stuck", "x").await;
            assert_eq!(stuck, Delivery::Unreachable);
            let others = a.cluster.emit(&format!("ben-{n}"), "found").await;
            assert_eq!(others, Delivery::Delivered);
        }
    });
}

#[test]
fn an_id_that_nobody_can_have_is_not_asked_for() {
    run(async {
        let store = Store::slow(Duration::ZERO);
        let registry: Arc<dyn Registry> = store.clone();
        let a = TestNode::start(&registry).await;
        let too_long = "x".repeat(MAX_NAME + 1);
        for id in ["", &*too_long] {
            let mut receipt = a.cluster.emit(id, "x");
            assert_eq!(receipt.try_outcome(), Some(Delivery::Offline));
            let closed = a
                .cluster
                .close(id, CloseFrame::new(CloseCode::NORMAL, ""))
                .await;
            assert_eq!(closed, Delivery::Offline);
            let joined = a.cluster.join_group(id, "lobby").await;
            assert_eq!(joined, Membership::Offline);
            assert_eq!(a.cluster.online([id]).await, [OnlineStatus::Offline]);
        }
        assert_eq!(store.lookups(), 0);
        let longest = "x".repeat(MAX_NAME);
        assert_eq!(a.cluster.emit(&longest, "x").await, Delivery::Offline);
        assert!(store.lookups() > 0);
    });
}

/// The registry and the client's node are as slow as they may be, both times that they are asked.
#[test]
fn it_is_known_within_two_seconds_whether_a_client_is_connected() {
    run(async {
        let store = Store::stale(Duration::from_millis(800));
        let registry: Arc<dyn Registry> = store.clone();
        let a = TestNode::start(&registry).await;
        let (b, way) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        a.wait_for_links(1).await;
        registry.set("ghost", &b.peer_address()).await.unwrap();
        way.set(Mode::Delay(Duration::from_millis(425)));
        let begun = Stopwatch::start();
        let status = a.cluster.online(["ghost"]).await;
        let took = begun.elapsed();
        assert_ne!(status, [OnlineStatus::Online]);
        assert!(took <= WAITING_DECIDED_WITHIN, "{took:?}");
    });
}
