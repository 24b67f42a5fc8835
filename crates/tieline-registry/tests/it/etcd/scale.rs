//! Nodes with many ids.

use std::{collections::HashSet, time::Duration};

use tieline_registry::{
    ClaimKind, Cursor, EtcdOptions, EtcdRegistry, NodeReport, NodeSession, Registry, Release,
    Renewal, Stamp,
};
use tieline_test_servers::etcd::{Etcd, LEASE};
use tokio::time::{Instant, sleep};

use super::{PREFIX, STEADY, claims, connect, everything, granted, join};
use crate::kit::run_threads_for;

/// As many ids as a large node has.
const MANY: usize = 50_000;

/// On a busy machine, most of it is for the claims.
const LIMIT: Duration = Duration::from_mins(5);

/// The ids of one claim.
const BATCH: usize = 500;

/// Twice the entries of one lease, with some luck on top, two keys each.
const KEYS_OF_A_LEASE: usize = 400;

async fn registry_of(etcd: &Etcd, credentials: &str) -> EtcdRegistry {
    let options = EtcdOptions::new().timeout(Duration::from_secs(5));
    let url = etcd.url_as(credentials);
    EtcdRegistry::connect_with(&url, PREFIX, options)
        .await
        .unwrap()
}

/// Claims many ids. How long each batch took.
async fn claim_many(registry: &EtcdRegistry, session: &NodeSession, many: usize) -> Vec<Duration> {
    let mut took = Vec::new();
    for first in (0..many).step_by(BATCH) {
        let batch = claims(first..first + BATCH, 5);
        let start = Instant::now();
        let claimed = registry.claim(session, &batch).await.unwrap();
        took.push(start.elapsed());
        assert_eq!(granted(claimed), Some(BATCH));
    }
    took
}

async fn is_empty(registry: &EtcdRegistry) -> bool {
    let first = registry.scan(Cursor::default()).await.unwrap();
    first.items.is_empty()
}

/// With users, newer versions of etcd check all keys of a lease at each write that is bound to it.
#[test]
fn claims_are_as_fast_beside_many_ids_as_beside_few() {
    run_threads_for(LIMIT, 2, async {
        let etcd = Etcd::with_users(&[PREFIX, "!tieline/ws/"]).await;
        let registry = registry_of(&etcd, "tieline:secret@").await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        let took = claim_many(&registry, &session, MANY).await;
        // The fastest ones: other tests run at the same time.
        let fastest = |took: &[Duration]| *took.iter().min().unwrap();
        let (first, last) = (fastest(&took[..30]), fastest(&took[70..]));
        assert!(last < first * 3, "{first:?}, then {last:?}");
    });
}

#[test]
fn no_lease_has_many_keys() {
    run_threads_for(LIMIT, 2, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        claim_many(&registry, &session, 10_000).await;
        let gateway = etcd.gateway();
        let leases = gateway.leases().await;
        let mut keys = 0;
        for lease in &leases {
            let of_lease = gateway.keys_of_lease(lease).await.len();
            assert!(of_lease < KEYS_OF_A_LEASE, "{of_lease} keys");
            keys += of_lease;
        }
        assert_eq!(
            keys, 20_002,
            "two for each id, the node's, and the epoch's mark"
        );
        // Each lease is renewed by itself, so there must not be many, either.
        assert!(leases.len() < 200, "{} leases", leases.len());
    });
}

#[test]
fn a_dead_node_with_many_ids_delays_no_renewal_of_others() {
    run_threads_for(LIMIT, 2, async {
        let etcd = Etcd::start().await;
        let registry = registry_of(&etcd, "").await;
        // A machine that is busy with other tests needs seconds between two renewals here.
        let lease = LEASE * 10;
        let session = join(&registry, "a.test:7000", lease).await;
        for first in (0..MANY).step_by(4 * BATCH) {
            let batch = claims(first..first + 4 * BATCH, 5);
            registry.claim(&session, &batch).await.unwrap();
            registry
                .renew(&session, NodeReport::default())
                .await
                .unwrap();
        }
        // From now on, it is silent, and the other one renews as often as it can.
        let other = registry_of(&etcd, "").await;
        let beating = join(&other, "b.test:7000", lease).await;
        let mut longest = Duration::ZERO;
        while !is_empty(&other).await {
            let start = Instant::now();
            let renewal = other.renew(&beating, NodeReport::default()).await.unwrap();
            assert!(matches!(renewal, Renewal::Renewed(_)), "{renewal:?}");
            longest = longest.max(start.elapsed());
            sleep(Duration::from_millis(5)).await;
        }
        assert!(longest < lease / 3, "{longest:?}");
    });
}

#[test]
fn the_ids_of_a_node_are_listed_in_pages() {
    run_threads_for(LIMIT, 2, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        claim_many(&registry, &session, 5_000).await;
        let mut listed = HashSet::new();
        let mut from = Some(Cursor::default());
        while let Some(cursor) = from {
            let page = registry.ids_of(&session, cursor).await.unwrap();
            assert!(page.items.len() < 1_000, "{} ids", page.items.len());
            listed.extend(page.items);
            from = page.next;
        }
        assert_eq!(listed.len(), 5_000);
    });
}

#[test]
fn what_ended_with_one_lease_is_reported_and_can_be_claimed_again() {
    run_threads_for(LIMIT, 2, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        claim_many(&registry, &session, 1_000).await;
        let gateway = etcd.gateway();
        let node = "!tieline/ws/node/a.test:7000".to_owned();
        for lease in gateway.leases().await {
            if !gateway.keys_of_lease(&lease).await.contains(&node) {
                gateway.revoke(&lease).await;
            }
        }
        assert!(everything(&registry).await.len() < 1_000);
        let renewal = registry
            .renew(&session, NodeReport::default())
            .await
            .unwrap();
        assert!(matches!(renewal, Renewal::Revived(_)), "{renewal:?}");
        let renewal = registry
            .renew(&session, NodeReport::default())
            .await
            .unwrap();
        assert!(matches!(renewal, Renewal::Renewed(_)), "{renewal:?}");
        let mut held = claims(0..1_000, 5);
        for claim in &mut held {
            claim.kind = ClaimKind::Held;
        }
        let claimed = registry.claim(&session, &held).await.unwrap();
        assert_eq!(granted(claimed), Some(1_000));
        assert_eq!(everything(&registry).await.len(), 1_000);
    });
}

#[test]
fn a_claim_on_an_ended_lease_is_lost_and_succeeds_after_the_renewal() {
    run_threads_for(LIMIT, 2, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        claim_many(&registry, &session, 1_000).await;
        let gateway = etcd.gateway();
        for lease in gateway.leases().await {
            let keys = gateway.keys_of_lease(&lease).await;
            if !keys.iter().any(|key| key.contains("node/")) {
                gateway.revoke(&lease).await;
            }
        }
        let claimed = registry.claim(&session, &claims(2_000..2_500, 5)).await;
        assert_eq!(granted(claimed.unwrap()), None);
        registry
            .renew(&session, NodeReport::default())
            .await
            .unwrap();
        let claimed = registry.claim(&session, &claims(2_000..2_500, 5)).await;
        assert_eq!(granted(claimed.unwrap()), Some(BATCH));
    });
}

#[test]
fn leases_are_kept_in_number_while_clients_come_and_go() {
    run_threads_for(LIMIT, 2, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        for round in 0..10 {
            let batch = claims(round * BATCH..(round + 1) * BATCH, 5);
            let claimed = registry.claim(&session, &batch).await.unwrap();
            assert_eq!(granted(claimed), Some(BATCH));
            let give_back = batch.into_iter().map(|claim| Release {
                id: claim.id,
                up_to: Stamp(5),
            });
            let give_back: Vec<_> = give_back.collect();
            registry.release(&session, &give_back).await.unwrap();
        }
        let leases = etcd.gateway().lease_count().await;
        assert!(leases < 20, "{leases} leases");
        registry.leave(&session).await.unwrap();
        assert_eq!(etcd.gateway().lease_count().await, 1, "of the epoch's mark");
    });
}
