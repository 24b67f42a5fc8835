//! Answers of the registry that are old, or missing.

use std::{sync::Arc, time::Duration};

use tieline::{ClusterConfig, Config, Delivery, registry::Registry};
use tokio::time::{Instant, sleep, timeout};

use crate::kit::{Mood, Store, TestNode, run};

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
        let back = Instant::now();
        let delivered = async {
            while !a.cluster.emit("ben", "found").await.is_delivered() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(1), delivered)
            .await
            .expect("within a second");
        client.until("found").await;
        assert!(
            back.elapsed() < Duration::from_secs(1),
            "{:?}",
            back.elapsed()
        );
    });
}
