//! A look-up that is not answered: whom it holds back, for how long, and at what cost.

use std::{
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use tieline::{ClusterConfig, Config, Delivery, Frame, registry::Registry};

use crate::kit::{
    GIVEN_UP_AFTER, Mode, Reader, Stopwatch, Store, TestNode, WAITING_DECIDED_WITHIN, eventually,
    run, run_threads, test_config,
};

/// Two nodes with a client each, and a registry that does not say where `stuck` is.
struct Setup {
    store: Arc<Store>,
    a: TestNode,
    b: TestNode,
    at_a: Reader,
    at_b: Reader,
}

impl Setup {
    async fn start(config: ClusterConfig) -> Self {
        let store = Store::slow(Duration::ZERO);
        let registry: Arc<dyn Registry> = store.clone();
        let a = TestNode::start_with(&registry, Config::default(), config).await;
        let b = TestNode::start(&registry).await;
        for node in [&a, &b] {
            node.wait_for_links(1).await;
        }
        let at_a = a.reader("id=at-a&groups=all&quiet").await;
        let at_b = b.reader("id=at-b&groups=all&quiet").await;
        assert!(b.cluster.synced().await && a.cluster.synced().await);
        store.stick("stuck");
        Self {
            store,
            a,
            b,
            at_a,
            at_b,
        }
    }
}

/// Whether a broadcast of another task, and a message to a client, are decided while a lookup hangs and
/// the messages of its sender wait. Only a busy machine lets the lookup time out first.
async fn others_are_not_held_back(nodes: &Setup, attempt: usize) -> bool {
    let text = move |what: &str| format!("{what} {attempt}");
    let watch = Stopwatch::start();
    let cluster = nodes.a.cluster.clone();
    let waiting = tokio::spawn(async move {
        let stuck = cluster.emit("stuck", "lost");
        (stuck, cluster.broadcast(text("behind it")))
    });
    let (mut stuck, mut behind) = waiting.await.unwrap();
    let cluster = nodes.a.cluster.clone();
    let others = tokio::spawn(async move {
        cluster.broadcast(text("to all")).await;
        cluster.emit("at-b", text("to one")).await;
        cluster.emit_group("all", text("to a group")).await
    });
    let summary = others.await.unwrap();
    let is_waiting = stuck.try_outcome().is_none() && behind.try_outcome().is_none();
    if !is_waiting || !summary.is_complete() {
        assert!(watch.has_lost(GIVEN_UP_AFTER), "{summary:?}");
        return false;
    }
    // What waited leaves in the end.
    assert_eq!(stuck.await, Delivery::Unreachable);
    assert_eq!(behind.await.reached.delivered, 2);
    for client in [&nodes.at_a, &nodes.at_b] {
        client.until(&text("behind it")).await;
        let texts = client.texts();
        let place = |what| texts.iter().position(|got| *got == text(what));
        assert!(place("to all") < place("to a group"), "{texts:?}");
        assert!(place("to a group") < place("behind it"), "{texts:?}");
    }
    true
}

#[test]
fn a_hanging_lookup_holds_back_only_those_who_wrote_to_that_client() {
    run(async {
        let nodes = Setup::start(test_config()).await;
        let mut attempts = 0..;
        while !others_are_not_held_back(&nodes, attempts.next().expect("endless")).await {}
    });
}

/// Whether a thread's messages leave in order, while those of another thread do not wait for them. Only
/// a busy machine lets the lookup time out first.
async fn threads_are_senders(nodes: &Setup) -> bool {
    let watch = Stopwatch::start_threads();
    nodes.store.stick("stuck");
    let before = nodes.at_b.count();
    let cluster = nodes.a.cluster.clone();
    let thread = std::thread::spawn(move || {
        let stuck = cluster.emit("stuck", "lost");
        drop((cluster.broadcast("1"), cluster.broadcast("2")));
        (stuck, cluster.emit("at-b", "3"))
    });
    let (stuck, third) = thread.join().unwrap();
    let cluster = nodes.a.cluster.clone();
    let free = std::thread::spawn(move || cluster.broadcast("of another thread"));
    free.join().unwrap().await;
    nodes.store.answer_all();
    let is_in_time = stuck.await == Delivery::Offline && third.await.is_delivered();
    eventually(|| nodes.at_b.count() >= before + 3).await;
    let texts = nodes.at_b.texts().split_off(before);
    let is_in_order = is_in_time && texts == ["of another thread", "1", "2", "3"];
    assert!(is_in_order || watch.has_lost(GIVEN_UP_AFTER), "{texts:?}");
    is_in_order
}

#[test]
fn a_thread_without_a_task_is_a_sender_of_its_own() {
    run_threads(2, async {
        let nodes = Setup::start(test_config()).await;
        while !threads_are_senders(&nodes).await {}
    });
}

#[test]
fn what_waits_is_bounded_whatever_it_is() {
    const QUEUE: usize = 2 << 20;
    const MESSAGE: usize = 16 << 10;
    const FIT: usize = QUEUE / MESSAGE;
    run(async {
        let nodes = Setup::start(ClusterConfig {
            link_queue_bytes: QUEUE,
            ..test_config()
        })
        .await;
        let large = Frame::text(&*"x".repeat(MESSAGE));
        let stuck = nodes.a.cluster.emit("stuck", "lost");
        let broadcast = |_| nodes.a.cluster.broadcast(large.clone());
        let mut waiting: Vec<_> = (0..3 * FIT).map(broadcast).collect();
        let [a, b] = [&nodes.a, &nodes.b].map(TestNode::peer_address);
        for mut receipt in waiting.split_off(FIT) {
            let summary = receipt.try_outcome().expect("refused at once");
            let missed: Vec<_> = summary.missed().collect();
            assert_eq!(missed.len(), 2, "{missed:?}");
            for node in [&*a, &*b] {
                assert!(missed.contains(&(node, Delivery::QueueFull)), "{missed:?}");
            }
        }
        nodes.store.answer_all();
        assert!(!stuck.await.is_delivered());
        let mut here = 0;
        for receipt in waiting {
            let nodes = receipt.await.nodes;
            let own = nodes.iter().find(|part| part.node.as_deref() == Some(&*a));
            here += own.map_or(0, |part| part.outcome.map_or(0, |it| it.delivered));
        }
        // The first message took some of the room.
        assert_eq!(here, FIT as u64 - 1);
    });
}

/// The median time of a message to a client of this node.
fn local_emit(node: &TestNode) -> Duration {
    let mut times: Vec<_> = (0..200)
        .map(|_| {
            let begun = Clock::now();
            let mut receipt = node.cluster.emit("at-a", "x");
            let took = begun.elapsed();
            assert_eq!(receipt.try_outcome(), Some(Delivery::Delivered));
            took
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn what_waits_costs_local_traffic_nothing_that_grows() {
    run(async {
        let nodes = Setup::start(test_config()).await;
        let wait = |many: usize| {
            let cluster = nodes.a.cluster.clone();
            tokio::spawn(async move {
                for _ in 0..many {
                    drop((cluster.emit("stuck", "x"), cluster.broadcast("x")));
                }
            })
        };
        wait(1).await.unwrap();
        let before = local_emit(&nodes.a);
        wait(1_000).await.unwrap();
        let after = local_emit(&nodes.a);
        assert!(after <= 10 * before, "{before:?}, then {after:?}");
    });
}

/// The registry and the client's node are as slow as they may be. Returns when the last of some messages is
/// decided that wait for each other.
async fn decide_behind_slow(a: &TestNode) -> Duration {
    let begun = Stopwatch::start();
    let receipts = [
        a.cluster.emit("ghost", "lost"),
        a.cluster.emit("ghost", "behind it"),
    ];
    let summary = a.cluster.broadcast("behind both");
    let last = a.cluster.emit("ben", "behind all");
    for receipt in receipts {
        let delivery = receipt.await;
        assert!(!delivery.is_delivered(), "{delivery}");
    }
    drop((summary.await, last.await));
    begun.elapsed()
}

#[test]
fn a_receipt_is_decided_within_two_seconds_whatever_is_slow() {
    run(async {
        let store = Store::stale(Duration::from_millis(900));
        let registry: Arc<dyn Registry> = store.clone();
        let a = TestNode::start(&registry).await;
        let (b, way) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        a.wait_for_links(1).await;
        let _client = b.reader("id=ben&quiet").await;
        // An entry of a client that this node does not have.
        registry.set("ghost", &b.peer_address()).await.unwrap();
        way.set(Mode::Delay(Duration::from_millis(425)));
        for _ in 0..4 {
            let took = decide_behind_slow(&a).await;
            assert!(took <= WAITING_DECIDED_WITHIN, "{took:?}");
        }
    });
}
