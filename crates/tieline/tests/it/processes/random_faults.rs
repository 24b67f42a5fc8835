//! All faults at once, at random: clients come, go and move while nodes die, stop, drain and start
//! again, and the registry stops, or dies and forgets.
//!
//! Promise: once the faults end, everything comes to rest as if there had been none (`checker`). How
//! to repeat a run, or to make it longer, is told at the top of this folder.

use std::{env, sync::Arc, time::Duration};

use tieline::registry::Registry;
use tokio::{task::JoinSet, time::Instant};

use super::{
    checker::at_rest,
    node_process::{self, LEASE, Process, Setup, ask, pause},
    client::{Guest, Refused},
    node_program::Emitted,
    clients::Party,
    store::Store,
};
use crate::kit::run_within;

/// Names of the two environment variables.
const SEED: &str = "TIELINE_MIX_SEED";
const SECONDS: &str = "TIELINE_MIX_SECONDS";

/// Client ids, few enough to meet often.
const IDS: usize = 60;

/// Once the last node is up: a dead one's lease, two rounds of the reaper, an audit.
const REST: Duration = LEASE.saturating_mul(4);

#[test]
fn a_mix_of_all_faults_comes_to_rest_on_redis() {
    play(|| async { Store::redis().await });
}

#[test]
fn a_mix_of_all_faults_comes_to_rest_on_etcd() {
    play(|| async { Store::etcd().await });
}

fn play<F: Future<Output = Store>>(store: impl FnOnce() -> F) {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..));
    let lasting = Duration::from_secs(number(SECONDS).unwrap_or(20));
    eprintln!("{SEED}={seed}");
    run_within(lasting + Duration::from_mins(1), async {
        let mut mix = Mix::new(store().await, seed).await;
        let begun = Instant::now();
        while begun.elapsed() < lasting {
            mix.step().await;
            tokio::time::sleep(Duration::from_millis(mix.chance.u64(5..40))).await;
        }
        mix.end().await;
    });
}

struct Mix {
    chance: fastrand::Rng,
    store: Store,
    registry: Arc<dyn Registry>,
    /// Until when the registry is stopped, or dead.
    away: Option<(Away, Instant)>,
    nodes: [Process; 3],
    states: [State; 3],
    party: Party,
    entering: JoinSet<(String, Result<Guest, Refused>)>,
    emitting: JoinSet<Option<Vec<Emitted>>>,
    faults: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Away {
    Stopped,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    /// Stopped until then.
    Stopped(Instant),
    Draining,
    Down,
}

impl Mix {
    async fn new(store: Store, seed: u64) -> Self {
        let registry = store.registry().await;
        let nodes = node_process::start(&store.url()).await;
        Self {
            chance: fastrand::Rng::with_seed(seed),
            registry,
            store,
            away: None,
            nodes,
            states: [State::Up; 3],
            party: Party::default(),
            entering: JoinSet::new(),
            emitting: JoinSet::new(),
            faults: 0,
        }
    }

    /// One thing happens, and what is due.
    async fn step(&mut self) {
        self.due().await;
        let node = self.chance.usize(..self.nodes.len());
        let faults = self.faults;
        self.faults += 1;
        match self.chance.u32(..100) {
            0 if self.away.is_none() => {
                self.store.stop();
                self.away = Some((Away::Stopped, self.a_while()));
            }
            1 if self.away.is_none() => {
                self.store.kill();
                self.away = Some((Away::Dead, self.a_while()));
            }
            2..5 if self.is_up(node) => {
                self.nodes[node].kill();
                self.states[node] = State::Down;
            }
            5..8 if self.is_up(node) => {
                self.nodes[node].stop();
                self.states[node] = State::Stopped(self.a_while());
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

    /// A client comes or goes, or many are sent something.
    fn traffic(&mut self, node: usize) {
        match self.chance.u32(..10) {
            0..6 => self.enter(node),
            6 => {
                // Two of one id at once.
                let id = self.an_id();
                self.enter_as(node, &id);
                self.enter_as((node + 1) % self.nodes.len(), &id);
            }
            7..9 => {
                let live: Vec<_> = self.party.live().collect();
                if let Some(guest) = self.chance.choice(live) {
                    guest.leave();
                }
            }
            _ => {
                let ids: Vec<_> = (0..10).map(|_| self.an_id()).collect();
                let target = format!("/emit?ids={}&data=meanwhile", ids.join(","));
                let to = self.nodes[node].setup.clients;
                self.emitting.spawn(async move { ask(to, &target).await });
            }
        }
    }

    fn enter(&mut self, node: usize) {
        let id = self.an_id();
        self.enter_as(node, &id);
    }

    fn enter_as(&mut self, node: usize, id: &str) {
        let (id, setup): (_, Setup) = (id.to_owned(), self.nodes[node].setup.clone());
        self.entering.spawn(async move {
            let entered = Guest::enter_at(&setup, &id).await;
            (id, entered)
        });
    }

    fn an_id(&mut self) -> String {
        format!("m{}", self.chance.usize(..IDS))
    }

    fn is_up(&self, node: usize) -> bool {
        self.states[node] == State::Up
    }

    /// Up to one and a half leases from now.
    fn a_while(&mut self) -> Instant {
        Instant::now() + (LEASE * 3 / 2).mul_f64(self.chance.f64())
    }

    /// Does what has waited long enough, and sees who came in.
    async fn due(&mut self) {
        if self.away.is_some_and(|(_, until)| until <= Instant::now()) {
            self.return_registry().await;
        }
        for (node, state) in self.nodes.iter_mut().zip(&mut self.states) {
            match *state {
                State::Stopped(until) if until <= Instant::now() => {
                    node.cont();
                    *state = State::Up;
                }
                // One that had not begun to listen to signals ends by this one.
                State::Draining if node.has_ended().is_some() => *state = State::Down,
                State::Down if self.chance.u32(..10) == 0 => {
                    *node = Process::spawn(node.setup.clone());
                    *state = State::Up;
                }
                _ => {}
            }
        }
        while let Some(entered) = self.entering.try_join_next() {
            let (id, entered) = entered.unwrap();
            // Refused or not, both is well here.
            let _ = self.party.note(&id, entered);
        }
        while self.emitting.try_join_next().is_some() {}
    }

    async fn return_registry(&mut self) {
        match self.away.take() {
            Some((Away::Stopped, _)) => self.store.cont().await,
            Some((Away::Dead, _)) => self.store.restart().await,
            None => {}
        }
    }

    /// The faults end; everything comes to rest.
    async fn end(&mut self) {
        self.return_registry().await;
        for (node, state) in self.nodes.iter_mut().zip(&mut self.states) {
            match *state {
                State::Stopped(_) => node.cont(),
                State::Draining => drop(node.ended().await),
                State::Up | State::Down => {}
            }
            if matches!(state, State::Draining | State::Down) {
                *node = Process::spawn(node.setup.clone());
            }
            *state = State::Up;
        }
        for node in &mut self.nodes {
            node.serving().await;
        }
        while !self.entering.is_empty() || !self.emitting.is_empty() {
            self.due().await;
            pause().await;
        }
        // Some come back, or are there already; of others nothing may be left.
        for n in 0..IDS / 3 {
            let node = self.chance.usize(..self.nodes.len());
            let (node, id) = (&self.nodes[node], format!("m{n}"));
            self.party.enter(node, &id).await.unwrap();
        }
        let nodes = self.nodes.each_ref();
        let took = at_rest(REST, &nodes, &self.party, &self.registry).await;
        let (faults, guests) = (self.faults, self.party.guests().len());
        let live = self.party.live().count();
        eprintln!("{faults} faults, {guests} connections; {live} at rest after {took:?}");
    }
}
