//! The registry is stopped, hangs, or is killed and comes back empty.
//!
//! Promise: sockets stay; local and cached routes work; no emit waits longer than a second; new
//! clients are accepted about 250 ms later than usual; and within 5 s of the registry's return it
//! has exactly the connected clients, including those that came and went during the outage.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tieline::registry::Registry;
use tokio::time::Instant;

use super::{
    checker::wait_until_consistent,
    client::Client,
    clients::Clients,
    node_process::{self, LEASE, NodeProcess},
    store::Store,
};
use crate::kit::{DECIDED_WITHIN, Stopwatch, run_within};

/// How long a new client may wait for its upgrade during the outage: 250 ms for the registry, and what the
/// node and twenty clients compute.
const ADMITTED_WITHIN: Duration = Duration::from_millis(330);

/// Clients of each node.
const CLIENTS: usize = 120;

#[test]
fn redis_stopped_for_longer_than_the_lease() {
    run_within(Duration::from_secs(40), async {
        let mut test = OutageTest::new(Store::redis().await).await;
        test.store.stop();
        test.run_for(LEASE * 3 / 2).await;
        test.store.resume().await;
        test.wait_until_repaired().await;
    });
}

#[test]
fn redis_hung_for_a_moment() {
    run_within(Duration::from_secs(40), async {
        let mut test = OutageTest::new(Store::redis().await).await;
        test.store.stop();
        test.run_for(LEASE / 4).await;
        test.store.resume().await;
        test.wait_until_repaired().await;
    });
}

#[test]
fn redis_killed_and_restarted_empty() {
    run_within(Duration::from_secs(40), async {
        let mut test = OutageTest::new(Store::redis().await).await;
        test.store.kill();
        test.run_for(LEASE).await;
        test.store.restart().await;
        test.wait_until_repaired().await;
    });
}

#[test]
fn etcd_stopped_for_longer_than_the_lease() {
    run_within(Duration::from_secs(40), async {
        let mut test = OutageTest::new(Store::etcd().await).await;
        test.store.stop();
        test.run_for(LEASE * 3 / 2).await;
        test.store.resume().await;
        test.wait_until_repaired().await;
    });
}

#[test]
fn etcd_killed_and_restarted() {
    run_within(Duration::from_secs(40), async {
        let mut test = OutageTest::new(Store::etcd().await).await;
        test.store.kill();
        test.run_for(LEASE).await;
        test.store.restart().await;
        test.wait_until_repaired().await;
    });
}

struct OutageTest {
    store: Store,
    outage: Outage,
}

/// Two nodes and their clients, in an outage of their registry.
pub(super) struct Outage {
    registry: Arc<dyn Registry>,
    nodes: [NodeProcess; 2],
    pub(super) clients: Clients,
    /// Clients of the second node whose routes the first has cached, and that stay.
    cached: Vec<String>,
    /// All clients whose routes it may have cached.
    asked: BTreeSet<String>,
}

impl OutageTest {
    async fn new(store: Store) -> Self {
        let outage = Outage::prepare(store.registry().await, &store.url()).await;
        Self { store, outage }
    }

    async fn run_for(&mut self, lasting: Duration) {
        self.outage.run_for(lasting).await;
    }

    async fn wait_until_repaired(&mut self) {
        self.outage.wait_until_repaired().await;
    }
}

impl Outage {
    pub(super) async fn prepare(registry: Arc<dyn Registry>, url: &str) -> Self {
        let nodes = node_process::start(url).await;
        let mut clients = Clients::default();
        clients.fill(&nodes.each_ref(), CLIENTS).await;
        let cached = clients.ids_at(&nodes[1]).split_off(CLIENTS / 2);
        let outage = Self {
            registry,
            nodes,
            clients,
            asked: cached.iter().cloned().collect(),
            cached,
        };
        outage.assert_reached_without_registry("before").await;
        outage
    }

    /// Clients connect, disconnect and move, and messages are sent, for this long at least.
    pub(super) async fn run_for(&mut self, lasting: Duration) {
        let begun = Instant::now();
        let before = self.clients.all().len();
        self.assert_reached_without_registry("at once").await;
        let mut connect_times = self.connect_and_leave("early").await;
        self.assert_undecidable().await;
        while begun.elapsed() < lasting {
            self.assert_reached_without_registry("later").await;
            node_process::pause().await;
        }
        connect_times.extend(self.connect_and_leave("late").await);
        let was_closed = |client: &&Client| client.end().is_some_and(|end| !end.left);
        let there = self.clients.all()[..before].iter();
        let closed = there.filter(was_closed).count();
        assert_eq!(closed, 0, "sockets stay");
        connect_times.sort_unstable();
        let (half, last) = (
            connect_times[connect_times.len() / 2],
            connect_times[connect_times.len() - 1],
        );
        assert!(last <= ADMITTED_WITHIN, "they waited {connect_times:?}");
        eprintln!("new clients waited {half:?}, at most {last:?}");
    }

    /// Emits that need no registry.
    async fn assert_reached_without_registry(&self, data: &str) {
        let data = data.replace(' ', "-");
        let here = self.clients.ids_at(&self.nodes[0]);
        for one in self.nodes[0].emit(&here, &data).await {
            assert_eq!(one.delivery, "delivered", "{one:?}");
        }
        self.nodes[0].deliver(&self.cached, &data).await;
    }

    /// Emits that need the registry.
    async fn assert_undecidable(&self) {
        let uncached = self.clients.ids_at(&self.nodes[1]);
        let uncached = uncached.iter().filter(|id| !self.asked.contains(*id));
        let uncached: Vec<_> = uncached.take(20).collect();
        for one in self.nodes[0].emit(&uncached, "where").await {
            let is_open = ["unreachable", "unknown"].contains(&one.delivery.as_str());
            assert!(is_open && one.took < DECIDED_WITHIN, "{one:?}");
        }
    }

    /// Some clients connect, some of them disconnect again, and so do some older ones; returns how
    /// long connecting took.
    async fn connect_and_leave(&mut self, wave: &str) -> Vec<Duration> {
        let mut connect_times = Vec::new();
        for node in &self.nodes {
            let ids: Vec<_> = (0..20)
                .map(|n| format!("{wave}-{n}-{}", node.setup.peers.port()))
                .collect();
            let connecting = ids.iter().map(async |id| {
                let watch = Stopwatch::start();
                (Client::connect(node, id).await, watch.elapsed())
            });
            for (id, (result, took)) in ids.iter().zip(join_all(connecting).await) {
                self.clients.record(id, result).unwrap();
                connect_times.push(took);
            }
            ids[..5]
                .iter()
                .for_each(|id| self.clients.newest(id).leave());
            let old = self.clients.ids_at(node);
            let old = old.iter().filter(|id| !self.cached.contains(id));
            old.take(5).for_each(|id| self.clients.newest(id).leave());
        }
        connect_times
    }

    pub(super) fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    pub(super) async fn wait_until_repaired(&mut self) {
        let nodes = self.nodes.each_ref();
        let within = Duration::from_secs(5);
        let took = wait_until_consistent(within, &nodes, &self.clients, &self.registry).await;
        self.asked.extend(self.clients.ids_at(nodes[1]));
        let clients = self.clients.connected().count();
        eprintln!("{clients} entries, consistent after {took:?}");
    }
}
