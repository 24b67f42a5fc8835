//! The stored keys of values, and their leases.

use std::{collections::BTreeSet, time::Duration};

use tieline_registry::{EtcdRegistry, Registry, RegistryErrorKind};
use tieline_test_servers::etcd::Etcd;
use tokio::time::{Instant, sleep};

use super::{STEADY, claim, connect, join};
use crate::kit::run_threads;

const OWN: &str = "!tieline/ws/value/";

async fn put(registry: &EtcdRegistry, key: &str, ttl: Duration) {
    let values = registry.values().unwrap();
    values.put(key, "x".into(), ttl).await.unwrap();
}

#[test]
fn values_of_one_name_share_a_lease_and_those_of_many_do_not() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let gateway = etcd.gateway();
        for _ in 0..50 {
            put(&registry, "same", STEADY).await;
        }
        assert_eq!(gateway.lease_count().await, 1);
        for number in 0..1000 {
            put(&registry, &number.to_string(), STEADY).await;
        }
        let leases = gateway.leases().await;
        assert!(leases.len() <= 256, "{} leases", leases.len());
        for lease in &leases {
            let keys = gateway.keys_of_lease(lease).await.len();
            assert!(keys < 40, "{keys} keys of 1001 in one lease");
        }
    });
}

#[test]
fn etcd_removes_what_has_ended_and_what_is_put_again_stays() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let gateway = etcd.gateway();
        let (ttl, start) = (Duration::from_secs(1), Instant::now());
        put(&registry, "ends", ttl).await;
        let stored = async || {
            let keys = gateway.below(OWN).await.into_iter();
            keys.map(|(key, _)| key).collect::<BTreeSet<_>>()
        };
        // More often than the time of the lease that it takes.
        while stored().await.contains(&format!("{OWN}ends")) {
            assert!(start.elapsed() < Duration::from_mins(1), "it stays");
            put(&registry, "again", ttl).await;
            sleep(Duration::from_millis(100)).await;
        }
        put(&registry, "again", ttl).await;
        assert_eq!(stored().await, [format!("{OWN}again")].into());
        let found = registry.values().unwrap().get("again").await.unwrap();
        let found = found.is_some_and(|value| value.ttl <= ttl);
        assert!(found || start.elapsed() > ttl, "it was put just now");
    });
}

/// Names of values may look like any key, and values outlive nodes: they name no cluster that is alive.
#[test]
fn values_are_no_cluster() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let longer = EtcdRegistry::connect(&etcd.url(), "/ws/more/")
            .await
            .unwrap();
        let registry = connect(&etcd).await;
        for key in ["node/h:1", "\0chat\0own/\0x", "own/x"] {
            put(&longer, key, STEADY).await;
            put(&registry, key, STEADY).await;
        }
        assert_eq!(registry.overlap(None).await.unwrap(), None);
        let session = join(&longer, "a.test:7000", STEADY).await;
        longer.claim(&session, &[claim("x", 1)]).await.unwrap();
        let overlap = registry.overlap(None).await.unwrap();
        assert_eq!(overlap.as_deref(), Some("/ws/more/"));
    });
}

#[test]
fn what_another_program_wrote_is_unexpected() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let gateway = etcd.gateway();
        gateway.put(&format!("{OWN}x"), "nonsense").await;
        let found = registry.values().unwrap().get("x").await;
        let error = found.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::UnexpectedReply, "{error}");
        put(&registry, "x", STEADY).await;
        let found = registry.values().unwrap().get("x").await.unwrap();
        assert_eq!(&found.unwrap().bytes[..], b"x");
    });
}
