//! The stored keys, as other programs see them.

use std::time::Duration;

use tieline_registry::{
    ClaimKind, Cursor, Entry, EtcdRegistry, JoinOutcome, JoinRequest, Located, NodeReport, Owner,
    Registry, Release, ReleaseOutcome, Renewal, Stamp,
};
use tieline_test_servers::etcd::{Etcd, LEASE};

use super::{PREFIX, STEADY, claim, claims, connect, everything, granted, join, options};
use crate::kit::run_threads;

#[test]
fn the_prefix_has_ids_with_their_addresses_and_nothing_else() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        let claimed = registry
            .claim(&session, &[claim("x", 5), claim("y", 6)])
            .await;
        assert_eq!(granted(claimed.unwrap()), Some(2));
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let gateway = etcd.gateway();
        let shared = [pair("/ws/x", "a.test:7000"), pair("/ws/y", "a.test:7000")];
        assert_eq!(gateway.below(PREFIX).await, shared);
        let process = session.process.to_string();
        let epoch = gateway.get("!tieline/ws/epoch").await.unwrap();
        let epoch = pair("!tieline/ws/epoch", &epoch);
        let mark = pair("!tieline/ws/refilling/*", "");
        let ours = [
            epoch.clone(),
            pair("!tieline/ws/node/a.test:7000", &process),
            pair("!tieline/ws/own/x", "5 a.test:7000"),
            pair("!tieline/ws/own/y", "6 a.test:7000"),
            mark.clone(),
        ];
        assert_eq!(gateway.below("!tieline/ws/").await, ours);

        let give = |id: &str| Release {
            id: tieline_registry::ClientId::new(id).unwrap(),
            up_to: Stamp(9),
        };
        let released = registry.release(&session, &[give("x"), give("y")]).await;
        assert_eq!(released.unwrap(), ReleaseOutcome::Done);
        registry.leave(&session).await.unwrap();
        assert_eq!(gateway.below("!").await, [epoch, mark]);
        assert_eq!(gateway.below("/").await, []);
        assert_eq!(gateway.lease_count().await, 1, "that of the mark");
    });
}

/// What go-websocket reads has the default namespace only, and what it writes under the key of another one is
/// nobody's.
#[test]
fn the_prefix_has_the_default_namespace_only() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        let ids = ["x", "\0chat\0x", "\0game\0x"];
        let claimed = registry.claim(&session, &ids.map(|id| claim(id, 5))).await;
        assert_eq!(granted(claimed.unwrap()), Some(3));
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let gateway = etcd.gateway();
        assert_eq!(gateway.below(PREFIX).await, [pair("/ws/x", "a.test:7000")]);
        let shadows = ["\0chat\0x", "\0game\0x", "x"]
            .map(|id| pair(&format!("!tieline/ws/own/{id}"), "5 a.test:7000"));
        assert_eq!(gateway.below("!tieline/ws/own/").await, shadows);

        gateway.put("/ws/\0chat\0x", "go.test:1").await;
        for fresh in [true, false] {
            let found = registry.locate(ids[1], fresh).await.unwrap().entry();
            assert_eq!(&*found.unwrap().address, "a.test:7000");
        }
        let listed = everything(&registry).await;
        assert!(
            listed
                .iter()
                .all(|(_, address)| **address == *"a.test:7000")
        );
        assert!(listed.iter().map(|(id, _)| id.key()).eq(ids));
        let give = ids.map(|id| Release {
            id: tieline_registry::ClientId::from_key(id).unwrap(),
            up_to: Stamp(9),
        });
        let released = registry.release(&session, &give).await;
        assert_eq!(released.unwrap(), ReleaseOutcome::Done);
        let left = [pair("/ws/\0chat\0x", "go.test:1")];
        assert_eq!(gateway.below(PREFIX).await, left);
        assert_eq!(gateway.below("!tieline/ws/own/").await, []);
    });
}

#[test]
fn what_a_foreign_program_writes_is_found_and_deleted() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let gateway = etcd.gateway();
        gateway.put("/ws/x", "go.test:1").await;
        let foreign = Entry {
            address: "go.test:1".into(),
            owner: Owner::Foreign,
        };
        for fresh in [true, false] {
            let found = registry.locate("x", fresh).await.unwrap();
            assert_eq!(found, Located::At(foreign.clone()));
        }
        registry.set("y", "go.test:2").await.unwrap();
        assert_eq!(gateway.get("/ws/y").await.as_deref(), Some("go.test:2"));
        assert_eq!(registry.delete_node("go.test:1").await.unwrap(), 1);
        let left: Vec<_> = everything(&registry).await;
        assert_eq!(left.len(), 1);
        assert_eq!((left[0].0.as_str(), &*left[0].1), ("y", "go.test:2"));
        registry.delete("y").await.unwrap();
        gateway.put("/ws/x", "go.test:3").await;
        gateway.delete("/ws/x").await;
        assert_eq!(registry.get("x").await.unwrap(), None);
        assert_eq!(gateway.below(PREFIX).await, []);
    });
}

#[test]
fn a_late_claim_with_an_old_fencing_token_writes_nothing() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let old = join(&registry, "a.test:7000", STEADY).await;
        let new = registry.fence(&old).await.unwrap().expect("it is there");
        assert_ne!(old, new);
        let late = registry.claim(&old, &[claim("x", 5)]).await.unwrap();
        assert_eq!(granted(late), None);
        assert_eq!(etcd.gateway().below(PREFIX).await, []);
        // If the reply to that fence is lost, a repetition finds it.
        assert_eq!(registry.fence(&old).await.unwrap(), Some(new.clone()));
        let claimed = registry.claim(&new, &[claim("x", 5)]).await.unwrap();
        assert_eq!(granted(claimed), Some(1));
    });
}

#[test]
fn entries_of_a_crashed_node_expire_with_its_lease() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let session = join(&registry, "a.test:7000", LEASE).await;
        registry.claim(&session, &claims(0..250, 5)).await.unwrap();
        assert_eq!(everything(&registry).await.len(), 250);
        while !everything(&registry).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(registry.nodes().await.unwrap(), []);
        let renewal = registry
            .renew(&session, NodeReport::default())
            .await
            .unwrap();
        assert_eq!(renewal, Renewal::Lost);
        let left = etcd.gateway().below("!").await;
        assert!(left.len() == 1 && left[0].0.ends_with("epoch"), "{left:?}");
    });
}

#[test]
fn leases_are_rounded_up_to_whole_seconds() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        for (asked, granted) in [(1, 1000), (1000, 1000), (1001, 2000), (10_000, 10_000)] {
            let address = format!("{asked}.test:7000");
            let session = join(&registry, &address, Duration::from_millis(asked)).await;
            assert_eq!(session.ttl, Duration::from_millis(granted));
        }
    });
}

#[test]
fn entries_outlive_renewals_and_rejoining() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let session = join(&registry, "a.test:7000", LEASE).await;
        registry.claim(&session, &claims(0..150, 5)).await.unwrap();
        let request = JoinRequest {
            address: session.address.clone(),
            process: session.process,
            replace: None,
            previous: Some(session.clone()),
            now: Stamp(0),
            lease: LEASE,
            has_connections: false,
        };
        let joined = registry.join(&request).await.unwrap();
        let JoinOutcome::Joined(again, _) = joined else {
            panic!("{joined:?}")
        };
        assert_ne!(again, session);
        assert_eq!(everything(&registry).await.len(), 150);
        let until = tokio::time::Instant::now() + LEASE * 3;
        while tokio::time::Instant::now() < until {
            let renewal = registry.renew(&again, NodeReport::default()).await.unwrap();
            assert!(matches!(renewal, Renewal::Renewed(_)), "{renewal:?}");
            tokio::time::sleep(LEASE / 4).await;
        }
        assert_eq!(everything(&registry).await.len(), 150);
        let ids = registry.ids_of(&again, Cursor::default());
        assert_eq!(ids.await.unwrap().items.len(), 150);
    });
}

#[test]
fn a_node_with_entries_does_not_leave() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        registry.claim(&session, &claims(0..150, 5)).await.unwrap();
        registry.leave(&session).await.unwrap();
        assert_eq!(everything(&registry).await.len(), 150);
        assert_eq!(registry.nodes().await.unwrap().len(), 1);
    });
}

#[test]
fn one_id_may_be_claimed_several_times_at_once() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let registry = connect(&etcd).await;
        let a = join(&registry, "a.test:7000", STEADY).await;
        let b = join(&registry, "b.test:7000", STEADY).await;
        let many: Vec<_> = (1..=5).map(|stamp| claim("x", stamp)).collect();
        let (by_a, by_b) = tokio::join!(registry.claim(&a, &many), registry.claim(&b, &many));
        assert!(granted(by_a.unwrap()).is_some());
        assert!(granted(by_b.unwrap()).is_some());
        let found = registry.locate("x", true).await.unwrap().entry().unwrap();
        let stamp = Stamp(5);
        let leased = true;
        assert_eq!(found.owner, Owner::Node { stamp, leased });
    });
}

/// etcd rejects requests above 1.5 MiB.
#[test]
fn the_longest_ids_fit_under_the_longest_prefix() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let prefix = "p".repeat(256);
        let url = etcd.url();
        let registry = EtcdRegistry::connect_with(&url, &prefix, options())
            .await
            .unwrap();
        let a = join(&registry, &format!("{}:7000", "a".repeat(250)), STEADY).await;
        let b = join(&registry, &format!("{}:7000", "b".repeat(250)), STEADY).await;
        let ids = (0..200).map(|n| format!("{n:0>width$}", width = tieline_registry::MAX_NAME));
        let mut claims: Vec<_> = ids.map(|id| claim(&id, 5)).collect();
        let claimed = registry.claim(&a, &claims).await.unwrap();
        assert_eq!(granted(claimed), Some(200));
        for claim in &mut claims {
            claim.stamp = Stamp(6);
            claim.kind = ClaimKind::Exclusive;
        }
        let claimed = registry.claim(&b, &claims).await.unwrap();
        assert_eq!(granted(claimed), Some(0));
        let ids = registry.ids_of(&a, Cursor::default()).await.unwrap();
        assert_eq!(ids.items.len(), 200);
    });
}
