//! The cluster's clock: steps of the server's clock, and requests that arrive late.

use std::time::Duration;

use tieline_registry::{
    ClaimOutcomes, JoinOutcome, JoinRequest, Located, NodeReport, NodeSession, RedisOptions,
    RedisRegistry, Registry, Renewal, Stamp, Verdict,
};
use tieline_test_servers::redis::Redis;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{PREFIX, claim, granted, join, numbered};
use crate::kit::run;

const HOUR: u64 = 3600;

async fn join_as(registry: &RedisRegistry, address: &str, lease: Duration) -> NodeSession {
    let request = JoinRequest {
        address: address.into(),
        process: Uuid::now_v7(),
        replace: None,
        previous: None,
        now: Stamp(0),
        lease,
        has_connections: false,
    };
    match registry.join(&request).await.unwrap() {
        JoinOutcome::Joined(session, _) => session,
        busy @ JoinOutcome::Busy(_) => panic!("{busy:?}"),
    }
}

/// Changes the stored times as if the server's clock had been an hour ahead so far: what a step back of the
/// clock looks like, or a failover to a server with a slower one.
async fn step_back(redis: &Redis) {
    let clock = format!("{{{PREFIX}}}:clock");
    let leases = format!("{{{PREFIX}}}:leases");
    let micros = (HOUR * 1_000_000).to_string();
    redis.command::<u64>(&["INCRBY", &clock, &micros]).await;
    let addresses: Vec<String> = redis.command(&["ZRANGE", &leases, "0", "-1"]).await;
    for address in addresses {
        let millis = (HOUR * 1000).to_string();
        let words = ["ZINCRBY", &leases, &millis, &address];
        redis.command::<String>(&words).await;
    }
}

#[test]
fn a_dead_nodes_lease_ends_although_the_servers_clock_steps_back() {
    run(async {
        let redis = Redis::start().await;
        let registry = RedisRegistry::connect(&redis.url(), PREFIX).await.unwrap();
        let lease = Duration::from_secs(1);
        let live = join_as(&registry, "live:1", Duration::from_mins(1)).await;
        join_as(&registry, "dead:1", lease).await;
        step_back(&redis).await;
        let start = Instant::now();
        loop {
            let renewal = registry.renew(&live, NodeReport::default()).await;
            assert!(matches!(renewal.unwrap(), Renewal::Renewed(_)));
            let nodes = registry.nodes().await.unwrap();
            let leased = |address: &str| {
                let node = nodes.iter().find(|node| &*node.address == address);
                node.expect("nobody reaps").leased
            };
            assert!(leased("live:1"), "it renews its lease");
            if !leased("dead:1") {
                break;
            }
            assert!(start.elapsed() < 4 * lease, "a dead node stays leased");
            sleep(lease / 10).await;
        }
        assert_eq!(registry.expired().await.unwrap().len(), 1);
    });
}

#[test]
fn a_step_of_the_servers_clock_fails_no_operation() {
    run(async {
        let redis = Redis::start().await;
        let registry = RedisRegistry::connect(&redis.url(), PREFIX).await.unwrap();
        let session = join_as(&registry, "a:1", Duration::from_secs(2 * HOUR)).await;
        // For this process, the clock steps forward by an hour: its deadlines are an hour old.
        step_back(&redis).await;
        assert_eq!(claim(&registry, &session, "a").await.unwrap(), granted());
        step_back(&redis).await;
        // More than one call of the script: they share a pipeline.
        let ids: Vec<_> = (0..2_000).map(numbered).collect();
        let claimed = registry.claim(&session, &ids).await.unwrap();
        let all = vec![Verdict::Granted { displaced: None }; ids.len()];
        assert_eq!(claimed, ClaimOutcomes::Verdicts(all));
    });
}

/// The server stands still when a claim is sent, so that it executes the claim after its caller has given up.
#[test]
fn a_claim_that_arrives_late_does_nothing() {
    run(async {
        let redis = Redis::start().await;
        let options = RedisOptions::new(redis.url(), PREFIX).timeout(Duration::from_millis(300));
        let registry = options.connect().await.unwrap();
        let session = join(&registry).await;
        // The server must know the script.
        assert_eq!(claim(&registry, &session, "a").await.unwrap(), granted());
        redis.stop();
        claim(&registry, &session, "late").await.unwrap_err();
        sleep(Duration::from_millis(50)).await;
        redis.resume();
        let mut claimed = claim(&registry, &session, "b").await;
        while claimed.is_err() {
            claimed = claim(&registry, &session, "b").await;
        }
        assert!(matches!(claimed.unwrap(), ClaimOutcomes::Verdicts(_)));
        let located = registry.locate("late", true).await.unwrap();
        assert!(!matches!(located, Located::At(_)), "{located:?}");
    });
}

/// A lookup has begun the epoch, and the nodes have leases of an hour.
#[test]
fn absence_is_unknown_until_nodes_with_long_leases_have_renewed() {
    run(async {
        let redis = Redis::start().await;
        let registry = RedisRegistry::connect(&redis.url(), PREFIX).await.unwrap();
        let now: [u64; 2] = redis.command(&["TIME"]).await;
        // A node renews every third of its lease.
        let begin = (now[0] - HOUR / 3) * 1_000_000;
        let shadows = format!("{{{PREFIX}}}:own");
        let words = ["HSET", &shadows, "", &format!("{begin} 0 0")];
        redis.command::<u64>(&words).await;
        let located = registry.locate("nobody", true).await.unwrap();
        assert_eq!(located, Located::Unknown);
    });
}
