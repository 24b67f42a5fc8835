//! Who is in which group, while nodes and registries fail.
//!
//! A backend in the test follows, and every change that it is told must be one; so must what the followers of the
//! nodes themselves are told, or their processes end. What does not depend on the registry is here, as scenarios that
//! `on_redis` and `on_etcd` play. Promises: see docs/presence.md.

mod on_etcd;
mod on_redis;

use std::{net::SocketAddr, time::Duration};

use tieline::{Cluster, ClusterConfig, Presence};

use super::{
    node_presence::LOBBY,
    node_process::{self, LEASE, NodeProcess, Setup, pause, setup},
    store::{Store, reader},
};
use crate::{
    kit::{Mode, Proxy, Stopwatch},
    presence::history::Observer,
};

const LIMIT: Duration = Duration::from_mins(1);

/// A cluster of two nodes, and a backend that follows.
struct Stage<S = Store> {
    store: S,
    nodes: [NodeProcess; 2],
    observer: Observer,
    _backend: (Cluster, Presence),
}

impl Stage {
    async fn start(store: Store, grace: Duration) -> Self {
        let url = store.url();
        let nodes = node_process::start_with(|| with_presence(&url, grace)).await;
        Self::with(store, &url, nodes).await
    }
}

impl<S> Stage<S> {
    /// The first lease of a new registry is over: from then on, who goes is told at once.
    async fn with(store: S, url: &str, nodes: [NodeProcess; 2]) -> Self {
        let config = ClusterConfig {
            lease: LEASE,
            ..ClusterConfig::default()
        };
        let registry = reader(url).await;
        let backend = Cluster::connect(registry, config).await.unwrap();
        let presence = Presence::new(&backend).unwrap();
        let observer = Observer::start(presence.follow(LOBBY).await.unwrap()).await;
        let mut stage = Self {
            store,
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

    /// These users enter at each of the two nodes, and everybody shows them. What was heard of it is forgotten.
    async fn begin(&mut self, users: [&str; 2]) {
        let mut members: Vec<_> = users.iter().flat_map(|users| users.split(',')).collect();
        members.retain(|user| !user.is_empty());
        members.sort_unstable();
        members.dedup();
        for (node, users) in users.iter().enumerate() {
            if !users.is_empty() {
                enter(&self.nodes[node], users).await;
            }
        }
        self.until_all_show(&[0, 1], &members).await;
        self.observer.history.heard.clear();
    }

    /// What was heard, in any order.
    fn heard(&self) -> Vec<String> {
        let mut heard = self.observer.history.heard.clone();
        heard.sort_unstable();
        heard
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

/// A node is killed: who was only there goes, once its lease is over and the registry has noticed.
async fn killed(store: Store, notices: Duration) {
    let mut stage = Stage::start(store, Duration::ZERO).await;
    stage.begin(["ada,grace", "grace,joan"]).await;
    let killed = Stopwatch::start();
    stage.nodes[0].kill();
    stage.until_all_show(&[1], &["grace", "joan"]).await;
    let took = killed.elapsed();
    assert_eq!(stage.observer.history.heard, ["-ada"]);
    let bound = LEASE + notices;
    assert!(took < bound, "told after {took:?}");
}

/// A node is suspended for longer than its lease.
async fn suspended(store: Store) {
    let mut stage = Stage::start(store, Duration::ZERO).await;
    stage.begin(["ada", "grace"]).await;
    stage.nodes[0].stop();
    stage.observer.until_heard("-ada").await;
    stage.nodes[0].resume();
    stage.until_all_show(&[0, 1], &["ada", "grace"]).await;
    assert_eq!(stage.observer.history.heard, ["-ada", "+ada"]);
}

/// A node is suspended for less than its lease.
async fn suspended_shortly(store: Store) {
    let mut stage = Stage::start(store, Duration::ZERO).await;
    stage.begin(["ada", ""]).await;
    stage.nodes[0].stop();
    stage.observer.hear_for(LEASE / 2).await;
    stage.nodes[0].resume();
    stage.observer.hear_for(LEASE).await;
    assert!(stage.observer.history.heard.is_empty());
}

/// A client changes nodes within the grace, and the one that it has left drains.
async fn changes_nodes(store: Store) {
    let mut stage = Stage::start(store, Duration::from_secs(2)).await;
    stage.begin(["ada,grace", ""]).await;
    exit(&stage.nodes[0], "ada", "disconnected").await;
    enter(&stage.nodes[1], "ada").await;
    // The node drains: who does not come elsewhere within the grace goes.
    stage.nodes[0].terminate();
    stage.nodes[0].ended().await;
    stage.until_all_show(&[1], &["ada"]).await;
    assert_eq!(stage.observer.history.heard, ["-grace"]);
}

/// A node is cut off from the registry, whose URLs have this scheme.
async fn cut_off(store: Store, scheme: &str) {
    let url = store.url();
    let (_, target) = url.rsplit_once('/').expect("a URL");
    let target: SocketAddr = target.parse().expect("an address");
    let proxy = Proxy::start(target).await;
    let cut = with_presence(&format!("{scheme}://{}", proxy.address()), Duration::ZERO);
    let other = with_presence(&url, Duration::ZERO);
    let nodes = [
        NodeProcess::start(cut).await,
        NodeProcess::start(other).await,
    ];
    let mut stage = Stage::with(store, &url, nodes).await;
    stage.begin(["ada", "grace"]).await;
    proxy.set(Mode::Silent);
    stage.until_all_show(&[1], &["grace"]).await;
    proxy.set(Mode::Pass);
    stage.until_all_show(&[0, 1], &["ada", "grace"]).await;
    assert_eq!(stage.observer.history.heard, ["-ada", "+ada"]);
}

/// The registry has lost everything, and is back. Nobody goes who is there; who goes meanwhile is told to have gone
/// once everybody had the time to enter again.
async fn lost_everything(stage: &mut Stage) {
    exit(&stage.nodes[0], "joan", "left").await;
    enter(&stage.nodes[1], "mary").await;
    stage
        .until_all_show(&[0, 1], &["ada", "grace", "mary"])
        .await;
    stage.observer.hear_for(LEASE).await;
    assert_eq!(stage.heard(), ["+mary", "-joan"]);
}

/// What happens while the registry is away, for longer than a lease: Ada changes nodes, Joan goes, Mary comes.
async fn is_away(stage: &mut Stage) {
    exit(&stage.nodes[0], "ada,joan", "left").await;
    enter(&stage.nodes[1], "ada,mary").await;
    stage.observer.hear_for(LEASE * 3 / 2).await;
    assert!(stage.observer.history.heard.is_empty());
    assert!(stage.observer.is_stale());
}
