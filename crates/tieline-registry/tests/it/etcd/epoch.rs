//! Whether the absence of an id is certain.

use std::time::Duration;

use tieline_registry::{
    ClaimKind, Epoch, EtcdRegistry, JoinOutcome, JoinRequest, LeaseInfo, Located, NodeReport,
    NodeSession, Registry, Renewal, Stamp,
};
use tieline_test_servers::etcd::{Etcd, Gateway, LEASE};
use tokio::time::sleep;
use uuid::Uuid;

use super::{STEADY, claims, connect, granted, join};
use crate::kit::run_threads;

/// Joins with connections that are not registered yet.
async fn join_with_connections(registry: &EtcdRegistry) -> (NodeSession, LeaseInfo) {
    let request = JoinRequest {
        address: "a.test:7000".into(),
        process: Uuid::now_v7(),
        replace: None,
        previous: None,
        now: Stamp(0),
        lease: STEADY,
        has_connections: true,
    };
    match registry.join(&request).await.unwrap() {
        JoinOutcome::Joined(session, lease_info) => (session, lease_info),
        JoinOutcome::Busy(holder) => panic!("{holder}"),
    }
}

fn refilled(epoch: Epoch) -> NodeReport {
    NodeReport {
        refilled: epoch,
        ..NodeReport::default()
    }
}

async fn absence(registry: &EtcdRegistry) -> Located {
    registry.locate("nobody", false).await.unwrap()
}

/// Begins an epoch, and waits until its first lease has passed.
async fn settle(registry: &EtcdRegistry, gateway: &Gateway) {
    let session = join(registry, "first.test:7000", LEASE).await;
    registry.leave(&session).await.unwrap();
    assert_eq!(absence(registry).await, Located::Unknown);
    while !gateway.below("!tieline/ws/refilling/").await.is_empty() {
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(absence(registry).await, Located::Nowhere);
}

#[test]
fn a_late_report_of_an_earlier_session_does_not_count() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        settle(&registry, &etcd.gateway()).await;
        let (old, lease_info) = join_with_connections(&registry).await;
        let new = registry.fence(&old).await.unwrap().expect("it is there");
        let report = refilled(lease_info.epoch);
        registry.renew(&old, report).await.unwrap();
        assert_eq!(absence(&registry).await, Located::Unknown);
        registry.renew(&new, report).await.unwrap();
        assert_eq!(absence(&registry).await, Located::Nowhere);
    });
}

#[test]
fn a_mark_ends_with_its_node() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        settle(&registry, &etcd.gateway()).await;
        let (session, _) = join_with_connections(&registry).await;
        assert_eq!(absence(&registry).await, Located::Unknown);
        registry.leave(&session).await.unwrap();
        assert_eq!(absence(&registry).await, Located::Nowhere);
    });
}

#[test]
fn entries_that_ended_with_one_lease_make_absence_unknown_until_they_are_back() {
    run_threads(2, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let gateway = etcd.gateway();
        settle(&registry, &gateway).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        registry.claim(&session, &claims(0..500, 5)).await.unwrap();
        for lease in gateway.leases().await {
            let keys = gateway.keys_of_lease(&lease).await;
            if !keys.iter().any(|key| key.contains("/node/")) {
                gateway.revoke(&lease).await;
            }
        }
        let renewal = registry.renew(&session, NodeReport::default()).await;
        let Renewal::Revived(LeaseInfo { epoch, .. }) = renewal.unwrap() else {
            panic!("its entries are gone")
        };
        assert_eq!(absence(&registry).await, Located::Unknown);
        let mut held = claims(0..500, 5);
        held.iter_mut()
            .for_each(|claim| claim.kind = ClaimKind::Held);
        let claimed = registry.claim(&session, &held).await.unwrap();
        assert_eq!(granted(claimed), Some(500));
        registry.renew(&session, refilled(epoch)).await.unwrap();
        assert_eq!(absence(&registry).await, Located::Nowhere);
    });
}

#[test]
fn an_epoch_begins_with_a_lookup_if_no_node_has_joined() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        assert_eq!(absence(&registry).await, Located::Unknown);
        let gateway = etcd.gateway();
        let epoch = gateway.get("!tieline/ws/epoch").await;
        assert!(epoch.is_some());
        // Its mark lasts longer than any lease. Once a node has joined, it lasts as long as the node's.
        join(&registry, "a.test:7000", LEASE).await;
        while absence(&registry).await == Located::Unknown {
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(gateway.get("!tieline/ws/epoch").await, epoch);
    });
}
