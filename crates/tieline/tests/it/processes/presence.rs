//! Who is in which group, while nodes and Redis fail.
//!
//! A backend in the test follows, and every change that it is told must be one; so must what the followers of the
//! nodes themselves are told, or their processes end. Promises: see docs/presence.md.

use std::time::Duration;

use tieline::{Cluster, ClusterConfig, Presence};
use tieline_test_servers::redis::{Redis, Sentinels};

use super::{
    node_presence::LOBBY,
    node_process::{self, LEASE, NodeProcess, Setup, pause, setup},
    store::reader,
};
use crate::{
    kit::{Mode, Proxy, Stopwatch, run_within},
    presence::history::Observer,
};

const LIMIT: Duration = Duration::from_mins(1);

/// A cluster of two nodes on Redis, and a backend that follows.
struct Stage<S = Redis> {
    redis: S,
    nodes: [NodeProcess; 2],
    observer: Observer,
    _backend: (Cluster, Presence),
}

impl Stage {
    async fn start(grace: Duration) -> Self {
        let redis = Redis::start().await;
        let url = redis.url();
        let nodes = node_process::start_with(|| with_presence(&url, grace)).await;
        Self::with(redis, &url, nodes).await
    }
}

impl<S> Stage<S> {
    /// The first lease of a new registry is over: from then on, who goes is told at once.
    async fn with(redis: S, url: &str, nodes: [NodeProcess; 2]) -> Self {
        let config = ClusterConfig {
            lease: LEASE,
            ..ClusterConfig::default()
        };
        let registry = reader(url).await;
        let backend = Cluster::connect(registry, config).await.unwrap();
        let presence = Presence::new(&backend).unwrap();
        let observer = Observer::start(presence.follow(LOBBY).await.unwrap()).await;
        let mut stage = Self {
            redis,
            nodes,
            observer,
            _backend: (backend, presence),
        };
        enter(&stage.nodes[0], "first").await;
        stage.observer.until_heard("+first").await;
        exit(&stage.nodes[0], "first", "left").await;
        stage.observer.until_heard("-first").await;
        stage.observer.history.heard.clear();
        stage
    }

    /// Waits until the followers of nodes show these members, as the backend's does.
    async fn until_all_show(&mut self, nodes: &[usize], members: &[&str]) {
        self.observer.until_members(members).await;
        for &node in nodes {
            while told(&self.nodes[node]).await.as_deref() != Some(&owned(members)[..]) {
                pause().await;
            }
        }
    }
}

fn with_presence(url: &str, grace: Duration) -> Setup {
    Setup {
        presence: Some(grace),
        ..setup(url)
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

async fn enter(node: &NodeProcess, users: &str) {
    let entered: Option<String> = node.ask(&format!("/enter?user={users}")).await;
    entered.expect("the node answers");
}

async fn exit(node: &NodeProcess, users: &str, how: &str) {
    let exited: Option<String> = node.ask(&format!("/exit?user={users}&how={how}")).await;
    exited.expect("the node answers");
}

async fn told(node: &NodeProcess) -> Option<Vec<String>> {
    node.ask("/told").await
}

#[test]
fn the_users_of_a_killed_node_go_once_its_lease_is_over() {
    run_within(LIMIT, async {
        let mut stage = Stage::start(Duration::ZERO).await;
        enter(&stage.nodes[0], "ada,grace").await;
        enter(&stage.nodes[1], "grace,joan").await;
        stage
            .until_all_show(&[0, 1], &["ada", "grace", "joan"])
            .await;
        stage.observer.history.heard.clear();
        let killed = Stopwatch::start();
        stage.nodes[0].kill();
        stage.until_all_show(&[1], &["grace", "joan"]).await;
        let took = killed.elapsed();
        assert_eq!(stage.observer.history.heard, ["-ada"]);
        let bound = LEASE + Duration::from_millis(1500);
        assert!(took < bound, "told after {took:?}");
    });
}

#[test]
fn the_users_of_a_suspended_node_go_and_come_back() {
    run_within(LIMIT, async {
        let mut stage = Stage::start(Duration::ZERO).await;
        enter(&stage.nodes[0], "ada").await;
        enter(&stage.nodes[1], "grace").await;
        stage.until_all_show(&[0, 1], &["ada", "grace"]).await;
        stage.observer.history.heard.clear();
        stage.nodes[0].stop();
        stage.observer.until_heard("-ada").await;
        stage.nodes[0].resume();
        stage.until_all_show(&[0, 1], &["ada", "grace"]).await;
        assert_eq!(stage.observer.history.heard, ["-ada", "+ada"]);
    });
}

#[test]
fn a_short_pause_of_a_node_has_no_effect() {
    run_within(LIMIT, async {
        let mut stage = Stage::start(Duration::ZERO).await;
        enter(&stage.nodes[0], "ada").await;
        stage.observer.until_heard("+ada").await;
        stage.observer.history.heard.clear();
        stage.nodes[0].stop();
        stage.observer.hear_for(LEASE / 2).await;
        stage.nodes[0].resume();
        stage.observer.hear_for(LEASE).await;
        assert!(stage.observer.history.heard.is_empty());
    });
}

#[test]
fn a_wiped_redis_drives_nobody_out() {
    run_within(LIMIT, async {
        let mut stage = Stage::start(Duration::ZERO).await;
        enter(&stage.nodes[0], "ada,joan").await;
        enter(&stage.nodes[1], "grace").await;
        stage
            .until_all_show(&[0, 1], &["ada", "grace", "joan"])
            .await;
        stage.observer.history.heard.clear();
        stage.redis.wipe().await;
        // Who goes meanwhile is told to have gone once everybody had the time to enter again.
        exit(&stage.nodes[0], "joan", "left").await;
        enter(&stage.nodes[1], "mary").await;
        stage
            .until_all_show(&[0, 1], &["ada", "grace", "mary"])
            .await;
        stage.observer.hear_for(LEASE).await;
        let mut heard = stage.observer.history.heard.clone();
        heard.sort_unstable();
        assert_eq!(heard, ["+mary", "-joan"]);
    });
}

#[test]
fn what_happens_while_redis_is_away_is_told_when_it_is_back() {
    run_within(LIMIT, async {
        let mut stage = Stage::start(Duration::ZERO).await;
        enter(&stage.nodes[0], "ada,joan").await;
        stage.until_all_show(&[0, 1], &["ada", "joan"]).await;
        stage.observer.history.heard.clear();
        stage.redis.stop();
        // Ada changes nodes; Joan goes; Mary comes. It takes longer than a lease.
        exit(&stage.nodes[0], "ada,joan", "left").await;
        enter(&stage.nodes[1], "ada,mary").await;
        stage.observer.hear_for(LEASE * 3 / 2).await;
        assert!(stage.observer.history.heard.is_empty());
        assert!(stage.observer.is_stale());
        stage.redis.resume();
        stage.until_all_show(&[0, 1], &["ada", "mary"]).await;
        let mut heard = stage.observer.history.heard.clone();
        heard.sort_unstable();
        assert_eq!(heard, ["+mary", "-joan"], "Ada was there all the time");
    });
}

#[test]
fn a_client_that_changes_nodes_within_the_grace_has_not_gone() {
    run_within(LIMIT, async {
        let mut stage = Stage::start(Duration::from_secs(2)).await;
        enter(&stage.nodes[0], "ada,grace").await;
        stage.until_all_show(&[0, 1], &["ada", "grace"]).await;
        stage.observer.history.heard.clear();
        exit(&stage.nodes[0], "ada", "disconnected").await;
        enter(&stage.nodes[1], "ada").await;
        // The node drains: who does not come elsewhere within the grace goes.
        stage.nodes[0].terminate();
        stage.nodes[0].ended().await;
        stage.until_all_show(&[1], &["ada"]).await;
        assert_eq!(stage.observer.history.heard, ["-grace"]);
    });
}

#[test]
fn the_users_of_a_node_that_is_cut_off_go_and_come_back() {
    run_within(LIMIT, async {
        let redis = Redis::start().await;
        let proxy = Proxy::start(([127, 0, 0, 1], redis.port).into()).await;
        let cut = with_presence(&format!("redis://{}", proxy.address()), Duration::ZERO);
        let other = with_presence(&redis.url(), Duration::ZERO);
        let nodes = [
            NodeProcess::start(cut).await,
            NodeProcess::start(other).await,
        ];
        let url = redis.url();
        let mut stage = Stage::with(redis, &url, nodes).await;
        enter(&stage.nodes[0], "ada").await;
        enter(&stage.nodes[1], "grace").await;
        stage.until_all_show(&[0, 1], &["ada", "grace"]).await;
        stage.observer.history.heard.clear();
        proxy.set(Mode::Silent);
        stage.until_all_show(&[1], &["grace"]).await;
        proxy.set(Mode::Pass);
        stage.until_all_show(&[0, 1], &["ada", "grace"]).await;
        assert_eq!(stage.observer.history.heard, ["-ada", "+ada"]);
    });
}

#[test]
fn a_redis_that_fails_over_drives_nobody_out() {
    run_within(LIMIT, async {
        let sentinels = Sentinels::start(3).await;
        let url = sentinels.url();
        let nodes = node_process::start_with(|| with_presence(&url, Duration::ZERO)).await;
        let mut stage = Stage::with(sentinels, &url, nodes).await;
        enter(&stage.nodes[0], "ada").await;
        enter(&stage.nodes[1], "grace").await;
        stage.until_all_show(&[0, 1], &["ada", "grace"]).await;
        stage.observer.history.heard.clear();
        stage.redis.master.wait_for_replica("{nodes}:pj").await;
        // Replication ends here, so what comes now is lost: the replica follows nobody.
        let replica = &stage.redis.replica;
        replica
            .command::<()>(&["REPLICAOF", "127.0.0.1", "1"])
            .await;
        enter(&stage.nodes[0], "lost").await;
        stage.observer.until_heard("+lost").await;
        stage.redis.master.kill();
        // Whoever takes part in the new journal is told of it.
        while told(&stage.nodes[0])
            .await
            .is_none_or(|told| told.len() < 3)
        {
            pause().await;
        }
        stage.observer.hear_for(LEASE * 3).await;
        enter(&stage.nodes[1], "joan").await;
        stage
            .until_all_show(&[0, 1], &["ada", "grace", "joan", "lost"])
            .await;
        assert_eq!(stage.observer.history.heard, ["+lost", "+joan"]);
    });
}
