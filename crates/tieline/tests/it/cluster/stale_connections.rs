//! A client reconnects to another node before its old node has noticed: the newest connection
//! survives, whatever the old node does, and whenever.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tieline::{ClusterConfig, Config, Delivery, registry::Registry};
use tokio::time::sleep;

use crate::kit::{
    Mode, Proxy, Reader, Stopwatch, TestNode, deliver, entries, eventually, memory_registry,
    run_threads, test_config, was_given_up,
};

const SCENARIOS: u64 = 1000;
/// Scenarios that run at the same time.
const CONCURRENT: u64 = 100;

/// How the old node learns that its connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    Close,
    Shut,
    Reset,
    /// By a ping without an answer.
    Silence,
    /// Only from the cluster.
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The client connects to the new node.
    Move,
    Notice,
    /// The old connection sends a message.
    Say,
    /// The node with this index emits.
    Emit(usize),
    Pause(u64),
}

/// Clients move from `old`, or from `watchful`, which pings often, to `new`; `other` only emits.
struct Setup {
    registry: Arc<dyn Registry>,
    old: TestNode,
    watchful: TestNode,
    new: TestNode,
    other: TestNode,
    proxies: [Proxy; 2],
}

impl Setup {
    async fn start() -> Self {
        let registry = memory_registry();
        let cluster = || ClusterConfig {
            audit_interval: Duration::from_millis(100),
            // Who is connected has its entry, however busy the machine is.
            claim_timeout: Duration::from_secs(10),
            ..test_config()
        };
        let config = Config {
            close_timeout: Duration::from_millis(300),
            ..Config::default()
        };
        let pings = Config {
            ping_interval: Duration::from_millis(40),
            ping_timeout: Duration::from_millis(40),
            ..config.clone()
        };
        let (old, first) = TestNode::behind_proxy(&registry, config.clone(), cluster()).await;
        let (watchful, second) = TestNode::behind_proxy(&registry, pings, cluster()).await;
        let new = TestNode::start_with(&registry, config.clone(), cluster()).await;
        let other = TestNode::start_with(&registry, config, cluster()).await;
        let setup = Self {
            registry,
            old,
            watchful,
            new,
            other,
            proxies: [first, second],
        };
        for member in setup.all() {
            member.wait_for_links(3).await;
        }
        setup
    }

    fn all(&self) -> [&TestNode; 4] {
        [&self.old, &self.watchful, &self.new, &self.other]
    }
}

/// What happens to one client; the seed determines it.
struct Scenario {
    seed: u64,
    notice: Notice,
    steps: Vec<Step>,
}

impl Scenario {
    fn new(seed: u64) -> Self {
        use Notice::{Close, Never, Reset, Shut, Silence};
        let mut random = fastrand::Rng::with_seed(seed);
        let notice = random.choice([Close, Shut, Reset, Silence, Never]).unwrap();
        let mut steps = vec![Step::Move, Step::Notice, Step::Say];
        steps.extend((0..6).map(|_| Step::Emit(random.usize(0..4))));
        steps.extend((0..4).map(|_| Step::Pause(random.u64(0..15_000))));
        random.shuffle(&mut steps);
        Self {
            seed,
            notice,
            steps,
        }
    }

    async fn play(self, setup: Arc<Setup>) {
        let Self { seed, notice, .. } = self;
        let old = match notice {
            Notice::Silence => &setup.watchful,
            _ => &setup.old,
        };
        let query = format!("id={seed}&quiet&forget");
        let mut first = Some(old.reader(&query).await);
        let moved = Arc::new(AtomicBool::new(false));
        let (mut second, mut emits) = (None, Vec::new());
        for (n, step) in self.steps.iter().enumerate() {
            match step {
                Step::Move => {
                    let (setup, query, moved) = (Arc::clone(&setup), query.clone(), moved.clone());
                    second = Some(tokio::spawn(async move {
                        let second = setup.new.reader(&query).await;
                        moved.store(true, Ordering::Release);
                        second
                    }));
                }
                Step::Notice => notify_old_node(notice, &mut first).await,
                Step::Say => {
                    if let Some(first) = &mut first {
                        first.say("still here").await;
                    }
                }
                Step::Emit(from) => {
                    let after = moved.load(Ordering::Acquire);
                    let after = after.then(Stopwatch::start_threads);
                    let cluster = &setup.all()[*from].cluster;
                    emits.push((n, after, cluster.emit(&seed.to_string(), n.to_string())));
                }
                Step::Pause(micros) => sleep(Duration::from_micros(*micros)).await,
            }
        }
        let second = second.expect("each order has a move").await.unwrap();
        let mut delivered = HashSet::new();
        for (n, after, receipt) in emits {
            let delivery = receipt.await;
            if delivery == Delivery::Delivered {
                delivered.insert(n);
            } else if let Some(watch) = after {
                assert!(
                    was_given_up(delivery, &watch),
                    "seed {seed}: emit {n} of {:?} after the move: {delivery:?}, {watch:?}",
                    self.steps
                );
            }
        }
        verify_settled(&setup, seed, &second).await;
        verify(&self, first.as_ref(), &second, &delivered).await;
        drop((first, second));
    }
}

async fn notify_old_node(notice: Notice, first: &mut Option<Reader>) {
    match (notice, first.as_mut()) {
        (Notice::Close, Some(first)) => first.send_close().await,
        (Notice::Shut, Some(first)) => first.shut().await,
        (Notice::Reset, _) => {
            if let Some(first) = first.take() {
                first.reset().await;
            }
        }
        _ => {}
    }
}

/// One connection is left, the newest, and the registry has its node.
async fn verify_settled(setup: &Setup, seed: u64, second: &Reader) {
    let id = seed.to_string();
    let holders = || setup.all().map(|member| member.has(&id));
    eventually(|| holders() == [false, false, true, false]).await;
    for member in setup.all() {
        let last = format!("last of {}", member.peer_address());
        deliver(&member.cluster, &id, &last).await;
        second.until(&last).await;
    }
    let entry = setup.registry.locate(&id, true).await.unwrap().entry();
    let place = entry.map(|entry| entry.address.to_string());
    assert_eq!(place, Some(setup.new.peer_address()), "seed {seed}");
    assert_eq!(second.code(), None, "seed {seed}: the newest was closed");
}

/// Each number that was answered `Delivered` was received by one of the two connections, once.
async fn verify(
    scenario: &Scenario,
    first: Option<&Reader>,
    second: &Reader,
    delivered: &HashSet<usize>,
) {
    let mut got = second.numbers();
    if let Some(first) = first {
        // It ends by its node's close, or by its own.
        eventually(|| first.is_ended()).await;
        got.extend(first.numbers());
    }
    let unique: HashSet<_> = got.iter().copied().collect();
    let seed = scenario.seed;
    assert_eq!(unique.len(), got.len(), "seed {seed}: twice: {got:?}");
    // A reset discards what its connection had not read; a connection that is closed for a missing
    // pong loses what waited for it.
    if !matches!(scenario.notice, Notice::Reset | Notice::Silence) {
        let lost: Vec<_> = delivered.difference(&unique).collect();
        assert!(
            lost.is_empty(),
            "seed {seed}: {lost:?} of {:?}, {:?}",
            scenario.notice,
            scenario.steps
        );
    }
}

#[test]
fn the_newest_connection_survives_every_order_of_events() {
    run_threads(2, async {
        let setup = Arc::new(Setup::start().await);
        let seeds: Vec<_> = (0..SCENARIOS).collect();
        for seeds in seeds.chunks(usize::try_from(CONCURRENT).unwrap()) {
            // Delays what goes to the old node, evicts among it.
            let delay = Duration::from_millis(
                [0, 2, 8, 25][usize::try_from(seeds[0] / CONCURRENT % 4).unwrap()],
            );
            let mode = if delay.is_zero() {
                Mode::Pass
            } else {
                Mode::Delay(delay)
            };
            setup.proxies.iter().for_each(|proxy| proxy.set(mode));
            let scenarios = seeds
                .iter()
                .map(|seed| tokio::spawn(Scenario::new(*seed).play(Arc::clone(&setup))));
            for played in join_all(scenarios).await {
                played.unwrap();
            }
        }
        // Every connection has ended, and no entry is left.
        for member in setup.all() {
            eventually(|| member.node.hub().is_empty() && member.cluster.entries() == 0).await;
        }
        while !entries(&*setup.registry).await.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    });
}
