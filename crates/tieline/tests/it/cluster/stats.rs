//! What a node counts of its cluster.

use std::{sync::Arc, time::Duration};

use tieline::{ClusterConfig, Config, Delivery, registry::Registry};

use crate::kit::{Mood, Store, TestNode, eventually, memory_registry, run};

#[test]
fn lookups_claims_and_links_are_counted() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let before = a.cluster.stats();
        assert!(before.registry_available);
        assert_eq!((before.entries, before.claims_granted), (0, 0));
        assert_eq!(before.peers.len(), 1);
        assert_eq!(before.peers[0].queued, 0);

        let _here = a.reader("id=amy&quiet").await;
        let _there = b.reader("id=ben&quiet").await;
        assert_eq!(a.cluster.emit("ben", "x").await, Delivery::Delivered);
        assert_eq!(a.cluster.emit("ben", "y").await, Delivery::Delivered);
        let after = a.cluster.stats();
        assert_eq!((after.entries, after.claims_granted), (1, 1));
        assert_eq!(after.lookups - before.lookups, 1, "the route is cached");
        assert_eq!(after.lookups_failed, 0);
        assert_eq!(after.claims_refused, 0);

        // A node compares when it has joined.
        assert!(after.audits >= 1, "{after:?}");
        assert_eq!(after.swept, 0);

        // An idle link pings.
        eventually(|| a.cluster.stats().peers[0].round_trip.is_some()).await;
        let round_trip = a.cluster.stats().peers[0].round_trip.unwrap();
        assert!(round_trip < Duration::from_secs(5), "{round_trip:?}");
    });
}

#[test]
fn a_registry_that_is_away_shows_in_the_counts() {
    run(async {
        let store = Store::slow(Duration::ZERO);
        let registry: Arc<dyn Registry> = store.clone();
        let config = ClusterConfig {
            registry_timeout: Duration::from_millis(200),
            ..ClusterConfig::default()
        };
        let node = TestNode::start_with(&registry, Config::default(), config).await;
        store.set(Mood::Hangs);
        let delivery = node.cluster.emit("nobody", "x").await;
        assert_eq!(delivery, Delivery::Unreachable);
        eventually(|| {
            let stats = node.cluster.stats();
            stats.lookups_failed >= 1 && !stats.registry_available
        })
        .await;
        store.set(Mood::Well);
        eventually(|| node.cluster.stats().registry_available).await;
    });
}
