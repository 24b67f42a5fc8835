//! All faults at once, at random: clients connect, disconnect and move while nodes are killed,
//! suspended, drained and restarted, and the registry is suspended, or killed without its data.
//!
//! Promise: once the faults end, the cluster becomes consistent (`checker`). The documentation of
//! the parent module says how to repeat or extend a run.

use std::{env, sync::Arc, time::Duration};

use tieline::registry::Registry;
use tokio::{task::JoinSet, time::Instant};

use super::{
    checker::wait_until_consistent,
    client::{Client, ConnectError},
    clients::Clients,
    node_process::{self, LEASE, NodeProcess, Setup, ask, pause},
    node_program::EmitResult,
    store::Store,
};
use crate::kit::run_within;

/// Names of the two environment variables.
const SEED: &str = "TIELINE_MIX_SEED";
const SECONDS: &str = "TIELINE_MIX_SECONDS";

/// Client ids, few enough to collide often.
const IDS: usize = 60;

/// Counted from the start of the last node: the lease of a dead one, two rounds of the reaper, an
/// audit.
const CONSISTENT_WITHIN: Duration = LEASE.saturating_mul(4);

#[test]
fn the_cluster_becomes_consistent_after_random_faults_on_redis() {
    run_faults(|| async { Store::redis().await });
}

#[test]
fn the_cluster_becomes_consistent_after_random_faults_on_etcd() {
    run_faults(|| async { Store::etcd().await });
}

fn run_faults<F: Future<Output = Store>>(store: impl FnOnce() -> F) {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..));
    let lasting = Duration::from_secs(number(SECONDS).unwrap_or(20));
    eprintln!("{SEED}={seed}");
    run_within(lasting + Duration::from_mins(1), async {
        let mut run = RandomFaults::new(store().await, seed).await;
        let begun = Instant::now();
        while begun.elapsed() < lasting {
            run.step().await;
            tokio::time::sleep(Duration::from_millis(run.random.u64(5..40))).await;
        }
        run.end().await;
    });
}

struct RandomFaults {
    random: fastrand::Rng,
    store: Store,
    registry: Arc<dyn Registry>,
    /// Until when the registry is suspended or dead.
    outage: Option<(OutageKind, Instant)>,
    nodes: [NodeProcess; 3],
    states: [State; 3],
    clients: Clients,
    connecting: JoinSet<(String, Result<Client, ConnectError>)>,
    emitting: JoinSet<Option<Vec<EmitResult>>>,
    faults: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OutageKind {
    Stopped,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    /// Suspended until then.
    Stopped(Instant),
    Draining,
    Down,
}

impl RandomFaults {
    async fn new(store: Store, seed: u64) -> Self {
        let registry = store.registry().await;
        let nodes = node_process::start(&store.url()).await;
        Self {
            random: fastrand::Rng::with_seed(seed),
            registry,
            store,
            outage: None,
            nodes,
            states: [State::Up; 3],
            clients: Clients::default(),
            connecting: JoinSet::new(),
            emitting: JoinSet::new(),
            faults: 0,
        }
    }

    /// Does what is due, then causes one random event.
    async fn step(&mut self) {
        self.advance().await;
        let node = self.random.usize(..self.nodes.len());
        let faults = self.faults;
        self.faults += 1;
        match self.random.u32(..100) {
            0 if self.outage.is_none() => {
                self.store.stop();
                self.outage = Some((OutageKind::Stopped, self.random_deadline()));
            }
            1 if self.outage.is_none() => {
                self.store.kill();
                self.outage = Some((OutageKind::Dead, self.random_deadline()));
            }
            2..5 if self.is_up(node) => {
                self.nodes[node].kill();
                self.states[node] = State::Down;
            }
            5..8 if self.is_up(node) => {
                self.nodes[node].stop();
                self.states[node] = State::Stopped(self.random_deadline());
            }
            8..10 if self.is_up(node) => {
                self.nodes[node].terminate();
                self.states[node] = State::Draining;
            }
            _ => {
                self.faults = faults;
                self.traffic(node);
            }
        }
    }

    /// A client connects or disconnects, or messages are sent.
    fn traffic(&mut self, node: usize) {
        match self.random.u32(..10) {
            0..6 => self.connect(node),
            6 => {
                // Two connections with one id at once.
                let id = self.random_id();
                self.connect_as(node, &id);
                self.connect_as((node + 1) % self.nodes.len(), &id);
            }
            7..9 => {
                let live: Vec<_> = self.clients.connected().collect();
                if let Some(client) = self.random.choice(live) {
                    client.leave();
                }
            }
            _ => {
                let ids: Vec<_> = (0..10).map(|_| self.random_id()).collect();
                let target = format!("/emit?ids={}&data=meanwhile", ids.join(","));
                let to = self.nodes[node].setup.clients;
                self.emitting.spawn(async move { ask(to, &target).await });
            }
        }
    }

    fn connect(&mut self, node: usize) {
        let id = self.random_id();
        self.connect_as(node, &id);
    }

    fn connect_as(&mut self, node: usize, id: &str) {
        let (id, setup): (_, Setup) = (id.to_owned(), self.nodes[node].setup.clone());
        self.connecting.spawn(async move {
            let connected = Client::connect_at(&setup, &id).await;
            (id, connected)
        });
    }

    fn random_id(&mut self) -> String {
        format!("m{}", self.random.usize(..IDS))
    }

    fn is_up(&self, node: usize) -> bool {
        self.states[node] == State::Up
    }

    /// Up to one and a half leases from now.
    fn random_deadline(&mut self) -> Instant {
        Instant::now() + (LEASE * 3 / 2).mul_f64(self.random.f64())
    }

    /// Ends faults whose time is up, and records the clients that connected.
    async fn advance(&mut self) {
        if self
            .outage
            .is_some_and(|(_, until)| until <= Instant::now())
        {
            self.return_registry().await;
        }
        for (node, state) in self.nodes.iter_mut().zip(&mut self.states) {
            match *state {
                State::Stopped(until) if until <= Instant::now() => {
                    node.resume();
                    *state = State::Up;
                }
                // A node that did not handle signals yet is ended by this one.
                State::Draining if node.has_ended().is_some() => *state = State::Down,
                State::Down if self.random.u32(..10) == 0 => {
                    *node = NodeProcess::spawn(node.setup.clone());
                    *state = State::Up;
                }
                _ => {}
            }
        }
        while let Some(connected) = self.connecting.try_join_next() {
            let (id, connected) = connected.unwrap();
            // Both results are correct here.
            let _ = self.clients.record(&id, connected);
        }
        while self.emitting.try_join_next().is_some() {}
    }

    async fn return_registry(&mut self) {
        match self.outage.take() {
            Some((OutageKind::Stopped, _)) => self.store.resume().await,
            Some((OutageKind::Dead, _)) => self.store.restart().await,
            None => {}
        }
    }

    /// Ends the faults, and waits until the cluster is consistent.
    async fn end(&mut self) {
        self.return_registry().await;
        for (node, state) in self.nodes.iter_mut().zip(&mut self.states) {
            match *state {
                State::Stopped(_) => node.resume(),
                State::Draining => drop(node.ended().await),
                State::Up | State::Down => {}
            }
            if matches!(state, State::Draining | State::Down) {
                *node = NodeProcess::spawn(node.setup.clone());
            }
            *state = State::Up;
        }
        for node in &mut self.nodes {
            node.serving().await;
        }
        while !self.connecting.is_empty() || !self.emitting.is_empty() {
            self.advance().await;
            pause().await;
        }
        // Some clients reconnect, or are still connected; the others may leave nothing behind.
        for n in 0..IDS / 3 {
            let node = self.random.usize(..self.nodes.len());
            let (node, id) = (&self.nodes[node], format!("m{n}"));
            self.clients.connect(node, &id).await.unwrap();
        }
        let nodes = self.nodes.each_ref();
        let took =
            wait_until_consistent(CONSISTENT_WITHIN, &nodes, &self.clients, &self.registry).await;
        let (faults, connections) = (self.faults, self.clients.all().len());
        let live = self.clients.connected().count();
        eprintln!(
            "{faults} faults, {connections} connections; {live} connected, consistent after {took:?}"
        );
    }
}
