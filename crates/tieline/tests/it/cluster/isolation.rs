//! A look-up that is not answered: whom it holds back, for how long, and at what cost.

use std::{
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use tieline::{ClusterConfig, Config, Delivery, Receipt, Summary, registry::Registry};
use tokio::{task::JoinHandle, time::Instant};

use crate::kit::{Mode, Reader, Store, TestNode, run, run_threads, test_config};

/// Well below the time for which a look-up is awaited.
const AT_ONCE: Duration = Duration::from_millis(400);
/// The bound of a receipt that waited, and some time for a busy machine.
const DECIDED_WITHIN: Duration = Duration::from_millis(2200);

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

fn timed(receipt: Receipt<Summary>) -> JoinHandle<(Summary, Duration)> {
    let begun = Instant::now();
    tokio::spawn(async move { (receipt.await, begun.elapsed()) })
}

#[test]
fn a_hanging_lookup_holds_back_only_those_who_wrote_to_that_client() {
    run(async {
        let nodes = Setup::start(test_config()).await;
        let cluster = nodes.a.cluster.clone();
        let (held, stuck) = tokio::spawn(async move {
            let stuck = cluster.emit("stuck", "lost");
            (timed(cluster.broadcast("behind it")), stuck)
        })
        .await
        .unwrap();
        let cluster = nodes.a.cluster.clone();
        let others = tokio::spawn(async move {
            let begun = Instant::now();
            let summary = cluster.broadcast("of another task").await;
            assert!(summary.is_complete(), "{summary:?}");
            let found = cluster.emit("at-b", "to one").await;
            let summary = cluster.emit_group("all", "to a group").await;
            (found, summary, begun.elapsed())
        });
        let (found, summary, took) = others.await.unwrap();
        assert_eq!(found, Delivery::Delivered);
        assert_eq!(summary.reached.delivered, 2);
        assert!(took <= AT_ONCE, "{took:?}");
        assert_eq!(stuck.await, Delivery::Unreachable);
        // Its own message to many waited, and left then.
        let (summary, took) = held.await.unwrap();
        assert!(summary.is_complete() && summary.reached.delivered == 2);
        assert!(took > AT_ONCE && took <= DECIDED_WITHIN, "{took:?}");
        let expected = ["of another task", "to one", "to a group", "behind it"];
        nodes.at_b.until("behind it").await;
        assert_eq!(nodes.at_b.texts(), expected);
        nodes.at_a.until("behind it").await;
        nodes.store.answer_all();
    });
}

#[test]
fn a_thread_without_a_task_is_a_sender_of_its_own() {
    run_threads(2, async {
        let nodes = Setup::start(test_config()).await;
        let cluster = nodes.a.cluster.clone();
        let thread = std::thread::spawn(move || {
            let stuck = cluster.emit("stuck", "lost");
            let receipts = [cluster.broadcast("1"), cluster.broadcast("2")];
            (stuck, receipts, cluster.emit("at-b", "3"))
        });
        let (stuck, [_, _], third) = thread.join().unwrap();
        let cluster = nodes.a.cluster.clone();
        let free = std::thread::spawn(move || drop(cluster.broadcast("of another thread")));
        free.join().unwrap();
        nodes.at_b.until("of another thread").await;
        assert_eq!(nodes.at_b.texts(), ["of another thread"]);
        nodes.store.answer_all();
        assert_eq!(stuck.await, Delivery::Offline);
        assert_eq!(third.await, Delivery::Delivered);
        nodes.at_b.until("3").await;
        assert_eq!(nodes.at_b.texts(), ["of another thread", "1", "2", "3"]);
        nodes.at_a.until("2").await;
        assert_eq!(nodes.at_a.texts(), ["of another thread", "1", "2"]);
    });
}

#[test]
fn what_waits_is_bounded_whatever_it_is() {
    const QUEUE: usize = 2 << 20;
    const MESSAGE: usize = 16 << 10;
    run(async {
        let nodes = Setup::start(ClusterConfig {
            link_queue_bytes: QUEUE,
            ..test_config()
        })
        .await;
        let stuck = nodes.a.cluster.emit("stuck", "lost");
        let mut waiting = Vec::new();
        for i in 0..400 {
            let text = format!("{i} {}", "x".repeat(MESSAGE));
            waiting.push(nodes.a.cluster.broadcast(text));
        }
        let mut refused = 0;
        for mut receipt in waiting.split_off(QUEUE / MESSAGE) {
            let summary = receipt.try_outcome().expect("refused at once");
            let missed: Vec<_> = summary.missed().collect();
            let [a, b] = [&nodes.a, &nodes.b].map(TestNode::peer_address);
            assert_eq!(missed.len(), 2, "{missed:?}");
            for node in [&*a, &*b] {
                assert!(missed.contains(&(node, Delivery::QueueFull)), "{missed:?}");
            }
            refused += 1;
        }
        assert_eq!(refused, 400 - QUEUE / MESSAGE);
        nodes.store.answer_all();
        assert_eq!(stuck.await, Delivery::Offline);
        let mut delivered = 0;
        for receipt in waiting {
            delivered += receipt.await.reached.delivered;
        }
        // One more or less: an id, and a digit, count too.
        assert!(delivered >= 2 * (QUEUE / MESSAGE) as u64 - 4, "{delivered}");
    });
}

/// The median time of a message to a client of this node.
async fn local_emit(node: &TestNode) -> Duration {
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun = Clock::now();
        let mut receipt = node.cluster.emit("at-a", "x");
        times.push(begun.elapsed());
        assert_eq!(receipt.try_outcome(), Some(Delivery::Delivered));
        tokio::task::yield_now().await;
    }
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn what_waits_costs_local_traffic_nothing_that_grows() {
    run(async {
        let nodes = Setup::start(test_config()).await;
        let cluster = nodes.a.cluster.clone();
        let few = tokio::spawn(async move {
            let waits = cluster.emit("stuck", "lost");
            (waits, cluster.broadcast("behind it"))
        });
        let _few = few.await.unwrap();
        let before = local_emit(&nodes.a).await;
        let cluster = nodes.a.cluster.clone();
        let many = tokio::spawn(async move {
            let stuck = cluster.emit("stuck", "lost");
            let many = 0..5_000;
            let wait = |_| (cluster.emit("stuck", "x"), cluster.broadcast("x"));
            (stuck, many.map(wait).collect::<Vec<_>>())
        });
        let _many = many.await.unwrap();
        let after = local_emit(&nodes.a).await;
        assert!(after <= 10 * before, "{before:?}, then {after:?}");
        nodes.store.answer_all();
    });
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
        // An entry of a client that node does not have.
        registry.set("ghost", &b.peer_address()).await.unwrap();
        way.set(Mode::Delay(Duration::from_millis(425)));
        let begun = Instant::now();
        let ghost = a.cluster.emit("ghost", "lost");
        let behind = a.cluster.emit("ghost", "behind it");
        let summary = timed(a.cluster.broadcast("behind both"));
        let third = a.cluster.emit("ben", "behind all");
        for receipt in [ghost, behind] {
            let delivery = receipt.await;
            let took = begun.elapsed();
            assert!(took <= DECIDED_WITHIN, "{delivery} after {took:?}");
            assert!(!delivery.is_delivered(), "{delivery}");
        }
        let (summary, took) = summary.await.unwrap();
        assert!(took <= DECIDED_WITHIN, "{summary:?} after {took:?}");
        let delivery = third.await;
        let took = begun.elapsed();
        assert!(took <= DECIDED_WITHIN, "{delivery} after {took:?}");
    });
}
