//! Servers that fail, hang and come back.

use std::time::Duration;

use tieline_registry::{
    EtcdOptions, EtcdRegistry, NodeReport, NodeSession, Registry, RegistryError, Renewal,
};
use tieline_test_servers::{
    Stopwatch,
    etcd::{Etcd, LEASE},
};
use tokio::time::sleep;

use super::{PREFIX, STEADY, claims, connect, everything, granted, join};
use crate::kit::run_threads;

/// The timeout of calls, in tests that measure it.
const LIMIT: Duration = Duration::from_millis(500);

async fn connect_with_limit(url: &str) -> EtcdRegistry {
    let options = EtcdOptions::new().timeout(LIMIT);
    EtcdRegistry::connect_with(url, PREFIX, options)
        .await
        .unwrap()
}

/// Renews until there is a reply; the deadline of the test bounds it.
async fn renew_until_reply(registry: &EtcdRegistry, session: &NodeSession) -> Renewal {
    loop {
        match registry.renew(session, NodeReport::default()).await {
            Ok(renewal) => return renewal,
            Err(error) => assert!(!error.is_permanent(), "{error:?}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Checks that a call fails in time.
async fn fails<T>(call: impl Future<Output = Result<T, RegistryError>>) {
    let started = Stopwatch::start_threads();
    assert!(call.await.is_err());
    let took = started.elapsed();
    assert!(took < LIMIT * 3, "{took:?}");
}

#[test]
fn a_killed_leader_costs_no_entry() {
    run_threads(2, async {
        let mut etcd = Etcd::cluster(3).await;
        let registry = connect(&etcd).await;
        let session = join(&registry, "a.test:7000", LEASE * 3).await;
        let claimed = registry.claim(&session, &claims(0..300, 5)).await.unwrap();
        assert_eq!(granted(claimed), Some(300));
        let leader = etcd.leader().await;
        etcd.kill(leader);
        assert!(matches!(
            renew_until_reply(&registry, &session).await,
            Renewal::Renewed(_)
        ));
        assert_eq!(everything(&registry).await.len(), 300);
        let session = registry
            .fence(&session)
            .await
            .unwrap()
            .expect("it is there");
        let claimed = registry
            .claim(&session, &claims(300..600, 5))
            .await
            .unwrap();
        assert_eq!(granted(claimed), Some(300));
        assert_eq!(everything(&registry).await.len(), 600);
        etcd.restart(leader, true).await;
        assert!(matches!(
            renew_until_reply(&registry, &session).await,
            Renewal::Renewed(_)
        ));
        assert_eq!(everything(&registry).await.len(), 600);
    });
}

/// A registry that uses this server first.
async fn connect_via(etcd: &Etcd, member: usize) -> EtcdRegistry {
    let host = etcd.url_of(member).replace("etcd://", "");
    loop {
        // A registry starts at a random endpoint.
        let registry = connect_with_limit(&etcd.url()).await;
        if format!("{registry:?}").contains(&format!("current: \"{host}\"")) {
            return registry;
        }
    }
}

#[test]
fn reads_avoid_a_hung_server() {
    run_threads(2, async {
        let mut etcd = Etcd::cluster(3).await;
        let hung = (etcd.leader().await + 1) % 3;
        let registry = connect_via(&etcd, hung).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        registry.claim(&session, &claims(0..10, 5)).await.unwrap();
        etcd.stop(hung);
        assert!(
            registry
                .locate("client-1", true)
                .await
                .unwrap()
                .entry()
                .is_some()
        );
        // From now on, the server that hangs is not used.
        let claimed = registry.claim(&session, &claims(10..20, 5)).await.unwrap();
        assert_eq!(granted(claimed), Some(10));
        etcd.resume(hung);
    });
}

#[test]
fn a_write_to_a_hung_server_is_sent_once_and_the_next_goes_elsewhere() {
    run_threads(2, async {
        let mut etcd = Etcd::cluster(3).await;
        let hung = (etcd.leader().await + 1) % 3;
        let registry = connect_via(&etcd, hung).await;
        let old = join(&registry, "a.test:7000", STEADY).await;
        etcd.stop(hung);
        fails(registry.claim(&old, &claims(0..1, 5))).await;
        let session = registry.fence(&old).await.unwrap().expect("it is there");
        etcd.resume(hung);
        // If the first claim executes now, it has the old fencing token.
        let claimed = registry.claim(&session, &claims(1..2, 5)).await.unwrap();
        assert_eq!(granted(claimed), Some(1));
        etcd.wait_until_healthy(hung).await;
        let hung_registry = connect_with_limit(&etcd.url_of(hung)).await;
        let late = hung_registry.claim(&old, &claims(0..1, 5)).await.unwrap();
        assert_eq!(granted(late), None);
        assert_eq!(everything(&hung_registry).await.len(), 1);
    });
}

#[test]
fn a_hung_leader_is_replaced() {
    run_threads(2, async {
        let mut etcd = Etcd::cluster(3).await;
        let leader = etcd.leader().await;
        let registry = connect_via(&etcd, leader).await;
        let session = join(&registry, "a.test:7000", LEASE * 3).await;
        registry.claim(&session, &claims(0..10, 5)).await.unwrap();
        etcd.stop(leader);
        let renewal = renew_until_reply(&registry, &session).await;
        assert!(matches!(renewal, Renewal::Renewed(_)));
        assert_eq!(everything(&registry).await.len(), 10);
        etcd.resume(leader);
        let renewal = renew_until_reply(&registry, &session).await;
        assert!(matches!(renewal, Renewal::Renewed(_)));
    });
}

#[test]
fn without_a_quorum_calls_fail_in_time_and_work_when_it_is_back() {
    run_threads(2, async {
        let mut etcd = Etcd::cluster(3).await;
        let registry = connect_with_limit(&etcd.url()).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        registry.claim(&session, &claims(0..10, 5)).await.unwrap();
        etcd.kill(0);
        etcd.kill(1);
        fails(registry.claim(&session, &claims(10..20, 5))).await;
        fails(registry.renew(&session, NodeReport::default())).await;
        fails(registry.locate("client-1", true)).await;
        // The last server still answers stale reads.
        assert!(
            registry
                .locate("client-1", false)
                .await
                .unwrap()
                .entry()
                .is_some()
        );
        etcd.restart(0, false).await;
        assert!(matches!(
            renew_until_reply(&registry, &session).await,
            Renewal::Renewed(_)
        ));
        let session = registry
            .fence(&session)
            .await
            .unwrap()
            .expect("it is there");
        let claimed = registry.claim(&session, &claims(10..20, 5)).await.unwrap();
        assert_eq!(granted(claimed), Some(10));
        assert_eq!(everything(&registry).await.len(), 20);
    });
}

#[test]
fn a_stopped_server_fails_calls_in_time_and_answers_when_it_goes_on() {
    run_threads(2, async {
        let mut etcd = Etcd::start().await;
        let registry = connect_with_limit(&etcd.url()).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        registry.claim(&session, &claims(0..10, 5)).await.unwrap();
        etcd.stop(0);
        for _ in 0..3 {
            fails(registry.locate("client-1", true)).await;
            fails(registry.renew(&session, NodeReport::default())).await;
        }
        fails(registry.claim(&session, &claims(10..20, 5))).await;
        etcd.resume(0);
        assert!(matches!(
            renew_until_reply(&registry, &session).await,
            Renewal::Renewed(_)
        ));
        let session = registry
            .fence(&session)
            .await
            .unwrap()
            .expect("it is there");
        let claimed = registry.claim(&session, &claims(10..20, 5)).await.unwrap();
        assert_eq!(granted(claimed), Some(10));
    });
}

#[test]
fn a_server_that_starts_again_keeps_leases_and_entries() {
    run_threads(2, async {
        let mut etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        registry.claim(&session, &claims(0..10, 5)).await.unwrap();
        etcd.kill(0);
        etcd.restart(0, true).await;
        assert!(matches!(
            renew_until_reply(&registry, &session).await,
            Renewal::Renewed(_)
        ));
        assert_eq!(everything(&registry).await.len(), 10);
    });
}
