//! Sentinel and Redis Cluster: some scenarios of the suite, and failovers.

use std::{sync::Arc, time::Duration};

use tieline_registry::{ClaimOutcomes, NodeSession, RedisOptions, RedisRegistry, Registry};
use tieline_registry_conformance::{BoxFuture, RegistryHarness, Skipped};
use tieline_test_servers::redis::{Redis, RedisCluster, Sentinels};

use super::{PREFIX, claim, granted, join};
use crate::kit::{message, run};

/// Scenarios that use every script. Time and faults are tested with a single server.
const SCENARIOS: [&str; 17] = [
    "evict_lost",
    "foreign_delete_of_newer_entry",
    "a_live_address_is_busy",
    "lease_info_counts_entries",
    "an_exclusive_claim_displaces_nobody",
    "large_batches_are_one_call",
    "delete_node_keeps_other_addresses",
    "reaping_goes_in_chunks",
    "no_data_remains",
    "namespaces_share_no_ids",
    "lease_info_counts_ids_of_all_namespaces",
    "delete_node_reaches_all_namespaces",
    "reaping_reaches_all_namespaces",
    "crash_is_told",
    "moved_then_posted",
    "unusual_rosters_work",
    "full",
];

/// A deployment, and the prefix of its registry.
struct Deployment {
    url: String,
    prefix: &'static str,
    servers: Vec<Redis>,
}

impl RegistryHarness for Deployment {
    fn registry(&self) -> BoxFuture<'_, Arc<dyn Registry>> {
        Box::pin(async {
            self.wipe().await.unwrap();
            let registry = RedisRegistry::connect(&self.url, self.prefix).await;
            Arc::new(registry.unwrap()) as Arc<dyn Registry>
        })
    }

    fn wipe(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            for server in &self.servers {
                server.wipe().await;
            }
            Ok(())
        })
    }
}

async fn play(harness: &Deployment) {
    for name in SCENARIOS {
        tieline_registry_conformance::play(name, harness).await;
    }
}

async fn connect(url: &str) -> (RedisRegistry, NodeSession) {
    let registry = RedisRegistry::connect(url, PREFIX).await.unwrap();
    let session = join(&registry).await;
    (registry, session)
}

/// Claims until it works; the deadline of the test bounds it.
async fn until_claimed(registry: &RedisRegistry, session: &NodeSession, id: &str) -> ClaimOutcomes {
    loop {
        match claim(registry, session, id).await {
            Ok(claimed) => return claimed,
            Err(error) => assert!(!error.is_permanent(), "{}", message(&error)),
        }
        // The pace at which a node retries.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn the_suite_behind_sentinels() {
    run(async {
        let sentinels = Sentinels::start(1).await;
        let url = sentinels.url();
        let harness = Deployment {
            url,
            prefix: PREFIX,
            servers: vec![sentinels.master],
        };
        play(&harness).await;
    });
}

#[test]
fn the_suite_on_a_cluster() {
    run(async {
        let cluster = RedisCluster::start(false).await;
        let url = cluster.url();
        let mut harness = Deployment {
            url,
            prefix: PREFIX,
            servers: cluster.masters,
        };
        play(&harness).await;
        harness.prefix = "{tag} and more";
        play(&harness).await;
    });
}

#[test]
fn sentinels_fail_over() {
    run(async {
        let mut sentinels = Sentinels::start(3).await;
        let (registry, session) = connect(&sentinels.url()).await;
        assert_eq!(claim(&registry, &session, "a").await.unwrap(), granted());
        sentinels.master.wait_for_replica(&probe()).await;
        sentinels.master.kill();
        let claimed = until_claimed(&registry, &session, "b").await;
        assert_eq!(claimed, granted(), "the lease was replicated");
        let port = sentinels.replica.port.to_string();
        let now: Vec<String> = sentinels.replica.command(&["HKEYS", PREFIX]).await;
        assert!(now.contains(&"b".to_owned()), "{port} has {now:?}");
    });
}

/// The first server of the list does not respond, which costs only its head start.
#[test]
fn a_sentinel_that_hangs_is_skipped() {
    run(async {
        let silent = Redis::start().await;
        silent.stop();
        let sentinels = Sentinels::start(1).await;
        let url = sentinels.url();
        let url = url.replacen("://", &format!("://127.0.0.1:{},", silent.port), 1);
        let options = RedisOptions::new(url, PREFIX).timeout(Duration::from_secs(5));
        let start = tieline_test_servers::Stopwatch::start();
        options.connect().await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(2));
    });
}

#[test]
fn an_unknown_master_is_a_permanent_error() {
    run(async {
        let sentinels = Sentinels::start(1).await;
        let url = sentinels.url().replace("/main", "/other");
        let error = RedisRegistry::connect(&url, PREFIX).await.unwrap_err();
        assert!(error.is_permanent(), "{}", message(&error));
        assert!(message(&error).contains("no master of that name"));
    });
}

/// A key of the registry's slot.
fn probe() -> String {
    format!("{{{PREFIX}}}:probe")
}

#[test]
fn a_cluster_fails_over() {
    run(async {
        let mut cluster = RedisCluster::start(true).await;
        let owner = cluster.master_of(PREFIX).await;
        let (registry, session) = connect(&cluster.url()).await;
        assert_eq!(claim(&registry, &session, "a").await.unwrap(), granted());
        cluster.masters[owner].wait_for_replica(&probe()).await;
        cluster.masters[owner].kill();
        let claimed = until_claimed(&registry, &session, "b").await;
        assert_eq!(claimed, granted(), "the lease was replicated");
    });
}

#[test]
fn any_server_of_a_cluster_leads_to_the_others() {
    run(async {
        let mut cluster = RedisCluster::start(true).await;
        let owner = cluster.master_of(PREFIX).await;
        let other = (owner + 1) % 3;
        let port = cluster.masters[other].port;
        let (registry, session) = connect(&format!("redis+cluster://127.0.0.1:{port}")).await;
        cluster.masters[other].kill();
        cluster.masters[owner].kill();
        cluster.masters[owner].restart().await;
        let claimed = until_claimed(&registry, &session, "b").await;
        assert!(matches!(
            claimed,
            ClaimOutcomes::Verdicts(_) | ClaimOutcomes::Lost
        ));
    });
}

#[test]
fn a_moved_slot_is_followed() {
    run(async {
        let cluster = RedisCluster::start(false).await;
        let (registry, session) = connect(&cluster.url()).await;
        assert_eq!(claim(&registry, &session, "a").await.unwrap(), granted());
        cluster.move_slot(PREFIX).await;
        assert_eq!(claim(&registry, &session, "b").await.unwrap(), granted());
        assert!(registry.get("a").await.unwrap().is_some());
    });
}

#[test]
fn a_server_of_a_cluster_is_rejected_as_a_single_server() {
    run(async {
        let cluster = RedisCluster::start(false).await;
        let owner = cluster.master_of(PREFIX).await;
        let other = &cluster.masters[(owner + 1) % 3];
        let error = RedisRegistry::connect(&other.url(), PREFIX)
            .await
            .unwrap_err();
        assert!(error.is_permanent(), "{}", message(&error));
        assert!(message(&error).contains("redis+cluster://"));
    });
}
