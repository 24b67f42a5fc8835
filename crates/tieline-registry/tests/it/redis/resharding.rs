//! Slots of a Redis Cluster that move to another master and back, while nodes use them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tieline_registry::{
    Claim, ClaimKind, ClaimOutcomes, ClientId, JoinOutcome, JoinRequest, Located, NodeReport,
    NodeSession, RedisOptions, RedisRegistry, Registry, Release, ReleaseOutcome, Renewal, Stamp,
    Verdict, id::key,
};
use tieline_test_servers::redis::RedisCluster;
use uuid::Uuid;

use super::PREFIX;
use crate::kit::{message, run_threads};

const IDS: usize = 20_000;

/// Between two steps of a move: a slot with more keys takes longer.
const PAUSE: Duration = Duration::from_millis(50);

/// Of an operation. While only some keys of a slot have moved, operations wait.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What goes on while the slot moves.
struct Traffic {
    registry: RedisRegistry,
    session: NodeSession,
    /// A node that has no clients.
    idle: NodeSession,
    stop: AtomicBool,
    operations: AtomicUsize,
}

impl Traffic {
    async fn start(cluster: &RedisCluster) -> Arc<Self> {
        let options = RedisOptions::new(cluster.url(), PREFIX).timeout(TIMEOUT);
        let registry = options.connect().await.unwrap();
        let session = join(&registry, "busy:1").await;
        let idle = join(&registry, "idle:1").await;
        let traffic = Self {
            registry,
            session,
            idle,
            stop: AtomicBool::new(false),
            operations: AtomicUsize::new(0),
        };
        let all: Vec<_> = (0..IDS).map(|n| claim(&stays(n))).collect();
        traffic.claim(&all).await;
        Arc::new(traffic)
    }

    /// Claims ids, all of which must be granted.
    async fn claim(&self, claims: &[Claim]) {
        let claimed = self.registry.claim(&self.session, claims).await;
        match claimed.unwrap_or_else(|error| panic!("{}", message(&error))) {
            ClaimOutcomes::Verdicts(verdicts) => {
                let granted = Verdict::Granted { displaced: None };
                assert_eq!(verdicts, vec![granted; claims.len()]);
            }
            ClaimOutcomes::Lost => panic!("the session is lost"),
        }
    }

    /// A client comes, is sent to and goes.
    async fn visit(&self, id: &str) {
        self.claim(&[claim(id)]).await;
        self.assert_found(id).await;
        let release = Release {
            id: ClientId::from_key(id).unwrap(),
            up_to: Stamp(1),
        };
        let released = self.registry.release(&self.session, &[release]).await;
        assert_eq!(released.unwrap(), ReleaseOutcome::Done);
        let located = self.registry.locate(id, true).await.unwrap();
        assert!(!matches!(located, Located::At(_)), "{id} has gone");
    }

    async fn assert_found(&self, id: &str) {
        let located = self.registry.locate(id, true).await;
        let located = located.unwrap_or_else(|error| panic!("{}", message(&error)));
        assert!(matches!(located, Located::At(_)), "{id}: {located:?}");
    }

    async fn renew(&self) {
        for session in [&self.session, &self.idle] {
            let renewal = self.registry.renew(session, NodeReport::default()).await;
            let renewal = renewal.unwrap_or_else(|error| panic!("{}", message(&error)));
            assert!(matches!(renewal, Renewal::Renewed(_)), "{renewal:?}");
        }
    }

    /// Comes, sends and goes until the end.
    async fn run(self: Arc<Self>, visitor: usize) {
        let mut round = 0;
        while !self.stop.load(Relaxed) {
            round += 1;
            self.visit(&in_turn(round, &format!("visitor-{visitor}-{round}")))
                .await;
            self.assert_found(&stays((visitor * 7_919 + round) % IDS))
                .await;
            self.renew().await;
            self.operations.fetch_add(1, Relaxed);
        }
    }
}

async fn join(registry: &RedisRegistry, address: &str) -> NodeSession {
    let request = JoinRequest {
        address: address.into(),
        process: Uuid::now_v7(),
        replace: None,
        previous: None,
        now: Stamp(1),
        lease: Duration::from_mins(2),
        has_connections: false,
    };
    match registry.join(&request).await.unwrap() {
        JoinOutcome::Joined(session, _) => session,
        busy @ JoinOutcome::Busy(_) => panic!("{busy:?}"),
    }
}

/// The key of an id that has its entry all the time.
fn stays(n: usize) -> String {
    in_turn(n, &format!("stays-{n}"))
}

/// The key of a name: every other one is in a namespace.
fn in_turn(n: usize, name: &str) -> String {
    let namespace = ["", "chat"][n % 2];
    key(namespace, name).into_owned()
}

fn claim(key: &str) -> Claim {
    Claim {
        id: ClientId::from_key(key).unwrap(),
        stamp: Stamp(1),
        kind: ClaimKind::Fresh,
    }
}

/// The slot moves to another master and back, key by key, while clients come, go and are sent to, and a node
/// without clients renews its lease. No operation fails, and nothing is lost.
#[test]
fn resharding_under_load_loses_nothing() {
    run_threads(2, async {
        let cluster = RedisCluster::start(false).await;
        let traffic = Traffic::start(&cluster).await;
        let visitors = (0..4).map(|visitor| tokio::spawn(traffic.clone().run(visitor)));
        let visitors: Vec<_> = visitors.collect();
        let owner = cluster.master_of(PREFIX).await;
        let other = (owner + 1) % 3;
        for way in [[owner, other], [other, owner]] {
            let before = traffic.operations.load(Relaxed);
            cluster.move_slot_slowly(PREFIX, way, [PAUSE; 2]).await;
            // Both before and after the slot has its new master.
            while traffic.operations.load(Relaxed) < before + 8 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        traffic.stop.store(true, Relaxed);
        for visitor in visitors {
            visitor.await.unwrap();
        }
        let counted: usize = cluster.masters[owner].command(&["HLEN", PREFIX]).await;
        assert_eq!(counted, IDS / 2, "the others are in a namespace");
        let own = format!("{{{PREFIX}}}:own");
        let counted: usize = cluster.masters[owner].command(&["HLEN", &own]).await;
        assert_eq!(
            counted,
            IDS + 2,
            "with the epoch, and the number of the others"
        );
        for n in (0..IDS).step_by(997) {
            traffic.assert_found(&stays(n)).await;
        }
    });
}

/// Between the first step of a move and its last, no key of a lease is missing: the node without clients renews
/// at once, at the old master and, once all keys have moved, at the new one.
#[test]
fn a_node_without_clients_keeps_its_lease_while_a_slot_moves() {
    run_threads(2, async {
        let cluster = RedisCluster::start(false).await;
        // Shorter than the pauses of the move, and as long as a node waits.
        let timeout = Duration::from_secs(1);
        let options = RedisOptions::new(cluster.url(), PREFIX).timeout(timeout);
        let registry = options.connect().await.unwrap();
        let session = join(&registry, "idle:1").await;
        let owner = cluster.master_of(PREFIX).await;
        let pauses = [Duration::from_millis(2_500), Duration::ZERO];
        let moving = cluster.move_slot_slowly(PREFIX, [owner, (owner + 1) % 3], pauses);
        let renewing = async {
            loop {
                let renewal = registry.renew(&session, NodeReport::default());
                let renewal = tokio::time::timeout(timeout, renewal).await;
                let renewal = renewal.expect("it is renewed in time");
                let renewal = renewal.unwrap_or_else(|error| panic!("{}", message(&error)));
                assert!(matches!(renewal, Renewal::Renewed(_)), "{renewal:?}");
            }
        };
        tokio::select! {
            () = moving => {}
            () = renewing => {}
        }
    });
}

/// Claims of so many ids that they are several calls of a script, which share a pipeline, follow the keys as a
/// single call does.
#[test]
fn many_claims_at_once_follow_a_slot_that_moves() {
    run_threads(2, async {
        let cluster = RedisCluster::start(false).await;
        let options = RedisOptions::new(cluster.url(), PREFIX).timeout(TIMEOUT);
        let registry = options.connect().await.unwrap();
        let session = join(&registry, "busy:1").await;
        let claims: Vec<_> = (0..2_000).map(|n| claim(&format!("id-{n}"))).collect();
        let claim_all = async || {
            let claimed = registry.claim(&session, &claims).await;
            let claimed = claimed.unwrap_or_else(|error| panic!("{}", message(&error)));
            assert!(matches!(claimed, ClaimOutcomes::Verdicts(_)), "{claimed:?}");
        };
        claim_all().await;
        let owner = cluster.master_of(PREFIX).await;
        let pauses = [Duration::from_millis(500), Duration::ZERO];
        let moving = cluster.move_slot_slowly(PREFIX, [owner, (owner + 1) % 3], pauses);
        let claiming = async {
            loop {
                claim_all().await;
            }
        };
        tokio::select! {
            () = moving => {}
            () = claiming => {}
        }
        claim_all().await;
    });
}
