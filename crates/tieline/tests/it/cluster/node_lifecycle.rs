//! Start, address conflict, crash, restart and drain of a node.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tieline::{
    Cluster, ClusterConfig, ClusterError, Config, Delivery, Hub, Receipt, registry::Registry,
};
use tokio::time::{Instant, sleep};

use crate::kit::{
    Mood, Reader, Stopwatch, Store, TestNode, entries, eventually, free_port, memory_registry, run,
    run_threads, test_config,
};

const CLIENTS: usize = 40;

/// Emits numbers to the clients `client-…` in turn, until it is stopped.
async fn send_load(from: Cluster, stop: Arc<AtomicBool>) -> Vec<(usize, Receipt)> {
    let mut sent = Vec::new();
    while !stop.load(Ordering::Acquire) {
        for _ in 0..20 {
            let n = sent.len();
            sent.push((
                n % CLIENTS,
                from.emit(&format!("client-{}", n % CLIENTS), n.to_string()),
            ));
        }
        sleep(Duration::from_millis(1)).await;
    }
    sent
}

#[test]
fn a_drain_under_load_loses_nothing_that_was_delivered() {
    run(async {
        let registry = memory_registry();
        let config = Config {
            drain_window: Duration::from_millis(500),
            close_timeout: Duration::from_millis(500),
            drain_timeout: Duration::from_secs(3),
            ..Config::default()
        };
        let a = TestNode::start(&registry).await;
        let b = TestNode::start_with(&registry, config, test_config()).await;
        a.wait_for_links(1).await;
        let mut clients = Vec::new();
        for i in 0..CLIENTS {
            clients.push(b.reader(&format!("id=client-{i}&quiet")).await);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let sending = tokio::spawn(send_load(a.cluster.clone(), Arc::clone(&stop)));
        eventually(|| clients.iter().all(|reader| reader.texts().len() > 5)).await;
        let drained = b.stop().await;
        assert_eq!((drained.closed, drained.remaining), (CLIENTS, 0));
        assert_eq!(a.cluster.emit("client-0", "gone").await, Delivery::Offline);
        assert_eq!(registry.nodes().await.unwrap().len(), 1);
        let entries = entries(&*registry).await;
        assert!(entries.is_empty(), "{entries:?}");
        stop.store(true, Ordering::Release);
        verify_drain(sending.await.unwrap(), &clients).await;
    });
}

async fn verify_drain(sent: Vec<(usize, Receipt)>, clients: &[Reader]) {
    for reader in clients {
        eventually(|| reader.is_ended()).await;
        assert_eq!(reader.code(), Some(1012));
    }
    let got: Vec<HashSet<usize>> = clients
        .iter()
        .map(|it| it.numbers().into_iter().collect())
        .collect();
    let mut outcomes = [0, 0];
    for (n, (to, receipt)) in sent.into_iter().enumerate() {
        match receipt.await {
            Delivery::Delivered => {
                outcomes[0] += 1;
                assert!(got[to].contains(&n), "{n} of client {to} was lost");
            }
            Delivery::Offline | Delivery::Unreachable | Delivery::Unknown => outcomes[1] += 1,
            other => panic!("{n}: {other}"),
        }
    }
    assert!(outcomes[0] > 0 && outcomes[1] > 0, "{outcomes:?}");
}

#[test]
fn a_drain_without_its_registry_ends_in_time() {
    run(async {
        let store = Store::slow(Duration::ZERO);
        let registry: Arc<dyn Registry> = store.clone();
        let config = Config {
            drain_window: Duration::from_millis(100),
            close_timeout: Duration::from_millis(200),
            drain_timeout: Duration::from_secs(1),
            ..Config::default()
        };
        let a = TestNode::start_with(&registry, config, test_config()).await;
        let b = TestNode::start(&registry).await;
        b.wait_for_links(1).await;
        let ann = a.reader("id=ann&quiet").await;
        assert!(b.cluster.emit("ann", "warm").await.is_delivered());
        store.set(Mood::Hangs);
        let begun = Stopwatch::start();
        let drained = a.stop().await;
        let took = begun.elapsed();
        assert_eq!((drained.closed, drained.remaining), (1, 0));
        assert_eq!(ann.code(), Some(1012));
        assert!(took < Duration::from_secs(4), "{took:?}");
        assert_eq!(b.cluster.emit("ann", "gone").await, Delivery::Unreachable);
        // The entries that the node could not release end with its lease.
        store.set(Mood::Well);
        while !entries(&*registry).await.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        let gone = 3 * test_config().lease;
        assert!(begun.elapsed() <= took + gone, "{:?}", begun.elapsed());
    });
}

#[test]
fn a_node_does_not_start_without_its_registry() {
    run(async {
        for mood in [Mood::Errs, Mood::Hangs] {
            let store = Store::slow(Duration::ZERO);
            store.set(mood);
            let registry: Arc<dyn Registry> = store;
            let begun = Stopwatch::start();
            let hub = Hub::new(Config::default()).unwrap();
            let started = Cluster::start(hub, Arc::clone(&registry), test_config()).await;
            assert!(
                matches!(started, Err(ClusterError::Registry(_))),
                "{started:?}"
            );
            let connected = Cluster::connect(registry, test_config()).await;
            assert!(
                matches!(connected, Err(ClusterError::Registry(_))),
                "{connected:?}"
            );
            assert!(
                begun.elapsed() < Duration::from_secs(3),
                "{:?}",
                begun.elapsed()
            );
        }
    });
}

#[test]
fn a_second_process_with_an_address_takes_no_clients_until_the_first_has_left() {
    run(async {
        let registry = memory_registry();
        let first = TestNode::start(&registry).await;
        let other = TestNode::start(&registry).await;
        first.wait_for_links(1).await;
        let ann = first.reader("id=ann&quiet").await;
        let second = ClusterConfig {
            advertise: Some(first.peer_address()),
            ..test_config()
        };
        let second = TestNode::start_with(&registry, Config::default(), second).await;
        assert!(!second.node.is_ready());
        let why = second.cluster.readiness().unwrap_err();
        let holder = first.cluster.process().to_string();
        assert!(
            why.contains(&holder) && why.contains(&first.peer_address()),
            "{why}"
        );
        for id in ["ann", "new"] {
            let (_, answer) = second.try_connect(&format!("id={id}")).await;
            assert_eq!(answer.status, 503);
            assert!(
                answer
                    .body
                    .contains("another process holds this node's address"),
                "{answer:?}"
            );
        }
        // It keeps trying, without effect on the first process.
        sleep(test_config().lease).await;
        assert!(first.node.is_ready() && !second.node.is_ready());
        assert_eq!(
            other.cluster.emit("ann", "unharmed").await,
            Delivery::Delivered
        );
        ann.until("unharmed").await;
        drop(ann);
        eventually(|| first.node.hub().is_empty()).await;
        first.stop().await;
        let left = Stopwatch::start();
        eventually(|| second.node.is_ready()).await;
        assert!(
            left.elapsed() <= test_config().lease,
            "{:?}",
            left.elapsed()
        );
        let mut new = second.client("id=new").await;
        assert_eq!(
            second.cluster.emit("new", "at home").await,
            Delivery::Delivered
        );
        assert_eq!(new.text().await, "at home");
    });
}

#[test]
fn a_node_that_crashed_is_back_on_its_address_at_once() {
    run(async {
        let registry = memory_registry();
        let other = TestNode::start(&registry).await;
        let home = free_port();
        let at_home = || ClusterConfig {
            listen: home,
            ..test_config()
        };
        let before = TestNode::start_with(&registry, Config::default(), at_home()).await;
        other.wait_for_links(1).await;
        let gone = before.reader("id=gone&quiet").await;
        let back = before.reader("id=back&quiet").await;
        assert_eq!(
            other.cluster.emit("gone", "here").await,
            Delivery::Delivered
        );
        before.crash().await;
        drop((gone, back));
        eventually(|| std::net::TcpListener::bind(home).is_ok()).await;
        let begun = Stopwatch::start();
        let after = TestNode::start_with(&registry, Config::default(), at_home()).await;
        assert!(after.node.is_ready());
        let back = after.reader("id=back&quiet").await;
        assert!(
            begun.elapsed() < Duration::from_millis(500),
            "{:?}",
            begun.elapsed()
        );
        // The link recovers, and only the clients that reconnected are online.
        while !other.cluster.emit("back", "again").await.is_delivered() {
            sleep(Duration::from_millis(5)).await;
        }
        back.until("again").await;
        while registry
            .locate("gone", true)
            .await
            .unwrap()
            .entry()
            .is_some()
        {
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(other.cluster.emit("gone", "gone").await, Delivery::Offline);
        let entry = registry
            .locate("back", true)
            .await
            .unwrap()
            .entry()
            .unwrap();
        assert_eq!(*entry.address, home.to_string());
    });
}

#[test]
fn clients_that_connect_together_share_round_trips() {
    const CLIENTS: usize = 4000;
    run_threads(2, async {
        let store = Store::slow(Duration::from_millis(2));
        let registry: Arc<dyn Registry> = store.clone();
        let config = Config {
            handshake_timeout: Duration::from_secs(40),
            max_handshakes: Some(2 * CLIENTS),
            max_connections: Some(2 * CLIENTS),
            ..Config::default()
        };
        let node = TestNode::start_with(&registry, config, ClusterConfig::default()).await;
        let before = store.claim_calls();
        let coming = (0..CLIENTS).map(|i| {
            let (address, query) = (node.address, format!("/?id={i}&authorize=wait"));
            tokio::spawn(async move { crate::kit::Raw::open(address, &query, "").await })
        });
        let coming: Vec<_> = coming.collect();
        let gate = &node.node.handler().gate;
        // All wait at the gate, and pass it together.
        eventually(|| node.node.handler().is_deciding()).await;
        gate.add_permits(CLIENTS);
        let begun = Instant::now();
        let come = join_all(coming).await;
        let took = begun.elapsed();
        assert!(come.iter().all(|it| it.as_ref().unwrap().1.status == 101));
        eventually(|| node.cluster.entries() == CLIENTS as u64).await;
        let calls = store.claim_calls() - before;
        assert!(
            calls <= CLIENTS / 4,
            "{calls} round trips for {CLIENTS} clients in {took:?}"
        );
    });
}
