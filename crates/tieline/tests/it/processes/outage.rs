//! The registry is stopped, hangs, or is killed and comes back empty.
//!
//! Promise: sockets stay; local and remembered routes work; no emit waits longer than its second; new
//! clients get in, some 250 ms later than otherwise; and within 5 s of the registry's return it holds
//! exactly the live connections, those that came and went meanwhile included.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tieline::registry::Registry;
use tokio::time::Instant;

use super::{
    checker::at_rest,
    node_process::{self, LEASE, Process},
    client::Guest,
    clients::Party,
    store::Store,
};
use crate::kit::run_within;

/// How long an emit may take: the second of its receipt, and what a busy machine adds.
const DECIDED: Duration = Duration::from_millis(1200);

/// How long a new client may wait at the door while the registry is away.
const ADMITTED: Duration = Duration::from_millis(400);

/// Clients of each node.
const CLIENTS: usize = 120;

#[test]
fn redis_stopped_for_longer_than_the_lease() {
    run_within(Duration::from_secs(40), async {
        let mut scene = Scene::new(Store::redis().await).await;
        scene.store.stop();
        scene.meanwhile(LEASE * 3 / 2).await;
        scene.store.cont().await;
        scene.repaired().await;
    });
}

#[test]
fn redis_hung_for_a_moment() {
    run_within(Duration::from_secs(40), async {
        let mut scene = Scene::new(Store::redis().await).await;
        scene.store.stop();
        scene.meanwhile(LEASE / 4).await;
        scene.store.cont().await;
        scene.repaired().await;
    });
}

#[test]
fn redis_killed_and_restarted_empty() {
    run_within(Duration::from_secs(40), async {
        let mut scene = Scene::new(Store::redis().await).await;
        scene.store.kill();
        scene.meanwhile(LEASE).await;
        scene.store.restart().await;
        scene.repaired().await;
    });
}

#[test]
fn etcd_stopped_for_longer_than_the_lease() {
    run_within(Duration::from_secs(40), async {
        let mut scene = Scene::new(Store::etcd().await).await;
        scene.store.stop();
        scene.meanwhile(LEASE * 3 / 2).await;
        scene.store.cont().await;
        scene.repaired().await;
    });
}

#[test]
fn etcd_killed_and_restarted() {
    run_within(Duration::from_secs(40), async {
        let mut scene = Scene::new(Store::etcd().await).await;
        scene.store.kill();
        scene.meanwhile(LEASE).await;
        scene.store.restart().await;
        scene.repaired().await;
    });
}

struct Scene {
    store: Store,
    outage: Outage,
}

/// Two nodes and their clients, in an outage of their registry.
pub(super) struct Outage {
    registry: Arc<dyn Registry>,
    nodes: [Process; 2],
    pub(super) party: Party,
    /// Clients of the second node to whom the first knows the route, and who stay.
    remembered: Vec<String>,
    /// All to whom it may know the route.
    asked: BTreeSet<String>,
}

impl Scene {
    async fn new(store: Store) -> Self {
        let outage = Outage::prepare(store.registry().await, &store.url()).await;
        Self { store, outage }
    }

    async fn meanwhile(&mut self, lasting: Duration) {
        self.outage.meanwhile(lasting).await;
    }

    async fn repaired(&mut self) {
        self.outage.repaired().await;
    }
}

impl Outage {
    pub(super) async fn prepare(registry: Arc<dyn Registry>, url: &str) -> Self {
        let nodes = node_process::start(url).await;
        let mut party = Party::default();
        party.fill(&nodes.each_ref(), CLIENTS).await;
        let remembered = party.ids_at(&nodes[1]).split_off(CLIENTS / 2);
        let outage = Self {
            registry,
            nodes,
            party,
            asked: remembered.iter().cloned().collect(),
            remembered,
        };
        outage.reached("before").await;
        outage
    }

    /// Clients come, go and move, and messages are sent, for this long at least.
    pub(super) async fn meanwhile(&mut self, lasting: Duration) {
        let begun = Instant::now();
        let before = self.party.guests().len();
        self.reached("at once").await;
        let mut waits = self.comings_and_goings("early").await;
        self.unknown().await;
        while begun.elapsed() < lasting {
            self.reached("later").await;
            node_process::pause().await;
        }
        waits.extend(self.comings_and_goings("late").await);
        let was_closed = |guest: &&Guest| guest.end().is_some_and(|end| !end.left);
        let there = self.party.guests()[..before].iter();
        let closed = there.filter(was_closed).count();
        assert_eq!(closed, 0, "sockets stay");
        waits.sort_unstable();
        let slow = waits.iter().filter(|wait| **wait > ADMITTED).count();
        assert!(slow <= waits.len() / 10, "they waited {waits:?}");
        let (half, last) = (waits[waits.len() / 2], waits[waits.len() - 1]);
        eprintln!("newcomers waited {half:?}, at most {last:?}");
    }

    /// Emits that need no registry.
    async fn reached(&self, data: &str) {
        let data = data.replace(' ', "-");
        let here = self.party.ids_at(&self.nodes[0]);
        for one in self.nodes[0].emit(&here, &data).await {
            assert_eq!(one.delivery, "delivered", "{one:?}");
        }
        for one in self.nodes[0].emit(&self.remembered, &data).await {
            assert_eq!(one.delivery, "delivered", "{one:?}");
        }
    }

    /// Emits that would need it.
    async fn unknown(&self) {
        let strangers = self.party.ids_at(&self.nodes[1]);
        let strangers = strangers.iter().filter(|id| !self.asked.contains(*id));
        let strangers: Vec<_> = strangers.take(20).collect();
        for one in self.nodes[0].emit(&strangers, "where").await {
            let is_open = ["unreachable", "unknown"].contains(&one.delivery.as_str());
            assert!(is_open && one.took < DECIDED, "{one:?}");
        }
    }

    /// Some connect, some of them leave again, and some of those that were there leave; how long the
    /// doors took.
    async fn comings_and_goings(&mut self, wave: &str) -> Vec<Duration> {
        let mut waits = Vec::new();
        for node in &self.nodes {
            let ids: Vec<_> = (0..20)
                .map(|n| format!("{wave}-{n}-{}", node.setup.peers.port()))
                .collect();
            let entering = ids.iter().map(|id| Guest::enter(node, id));
            for (id, entered) in ids.iter().zip(join_all(entering).await) {
                self.party.note(id, entered).unwrap();
                let guest = self.party.last(id);
                waits.push(guest.entered - guest.asked);
            }
            ids[..5].iter().for_each(|id| self.party.last(id).leave());
            let old = self.party.ids_at(node);
            let old = old.iter().filter(|id| !self.remembered.contains(id));
            old.take(5).for_each(|id| self.party.last(id).leave());
        }
        waits
    }

    pub(super) fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    pub(super) async fn repaired(&mut self) {
        let nodes = self.nodes.each_ref();
        let within = Duration::from_secs(5);
        let took = at_rest(within, &nodes, &self.party, &self.registry).await;
        self.asked.extend(self.party.ids_at(nodes[1]));
        let clients = self.party.live().count();
        eprintln!("{clients} entries right after {took:?}");
    }
}
