//! Whether messages to clients of other nodes have left.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::FutureExt;
use tieline::{
    Cluster, Config, Connection, Delivery, TrackedReceipt, WriteOutcome, registry::Registry,
};

use crate::kit::{
    GIVEN_UP_AFTER, LegacyNode, Mode, Proxy, Raw, Reader, Stopwatch, TestNode, deliver, eventually,
    linked_backend, memory_registry, run, run_threads, test_config, was_given_up,
};

const OFFLINE: WriteOutcome = WriteOutcome::NotDelivered(Delivery::Offline);

/// Sends to a client that is connected; again only if a busy machine left no time for it.
async fn track(cluster: &Cluster, id: &str, text: &str) -> TrackedReceipt {
    loop {
        let watch = Stopwatch::start_threads();
        let mut receipt = cluster.emit_tracked(id, text);
        let delivery = receipt.delivery().await;
        if delivery == Delivery::Delivered {
            return receipt;
        }
        assert!(was_given_up(delivery, &watch), "{id}: {delivery}");
    }
}

/// Two nodes with a link, of which the first is behind a proxy for the other.
async fn behind_proxy(registry: &Arc<dyn Registry>, config: Config) -> (TestNode, Proxy, TestNode) {
    let (a, proxy) = TestNode::behind_proxy(registry, config, test_config()).await;
    let b = TestNode::start(registry).await;
    a.wait_for_links(1).await;
    b.wait_for_links(1).await;
    (a, proxy, b)
}

/// A client that does not read, and for which some messages wait.
async fn stuck(node: &TestNode) -> (Raw, Connection) {
    let mut client = Raw::narrow(node.address).await;
    client.upgrade("/?id=ann&quiet", "").await;
    let connection = node.node.hub().connection("ann").unwrap();
    while connection.queued().0 < 4 {
        drop(connection.emit(vec![0; 64 << 10]));
        tokio::task::yield_now().await;
    }
    (client, connection)
}

/// The next text.
async fn text(client: &mut Raw) -> String {
    loop {
        let frame = client.data().await;
        if frame.opcode == crate::kit::raw::TEXT {
            return String::from_utf8(frame.payload).unwrap();
        }
    }
}

#[test]
fn whoever_sends_learns_it_wherever_the_client_is() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let backend = linked_backend(registry, 2).await;
        let mut ann = a.raw("id=ann&quiet").await;
        for cluster in [&a.cluster, &b.cluster, &backend] {
            // Looked up first, then by the cached route.
            for text in ["one", "two"] {
                let mut receipt = track(cluster, "ann", text).await;
                assert_eq!(receipt.written().await, WriteOutcome::Written);
                assert_eq!(ann.text().await, text);
            }
            assert_eq!(cluster.emit_tracked("bob", "x").written().await, OFFLINE);
            assert_eq!(cluster.emit_tracked("", "x").written().await, OFFLINE);
        }
        let single = TestNode::single(Config::default()).await;
        let _sole = single.client("id=ann&quiet").await;
        let mut receipt = single.cluster.emit_tracked("ann", "x");
        assert_eq!(receipt.written().await, WriteOutcome::Written);
    });
}

#[test]
fn the_report_of_another_node_waits_for_a_client_that_does_not_read() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let (mut ann, connection) = stuck(&a).await;
        let mut receipt = track(&b.cluster, "ann", "waits").await;
        // All that the other node says about what it received before has come when this is decided.
        deliver(&b.cluster, "ann", "waits too").await;
        assert!(connection.queued().0 >= 2);
        assert_eq!(receipt.written().now_or_never(), None);
        assert_eq!(text(&mut ann).await, "waits");
        assert_eq!(receipt.written().await, WriteOutcome::Written);

        // And if it dies.
        while connection.queued().0 < 4 {
            drop(connection.emit(vec![0; 64 << 10]));
            tokio::task::yield_now().await;
        }
        let mut receipt = track(&b.cluster, "ann", "lost").await;
        ann.reset();
        assert_eq!(receipt.written().await, WriteOutcome::Lost);
    });
}

#[test]
fn a_message_that_waits_for_the_link_has_its_report() {
    run(async {
        let registry = memory_registry();
        let (a, proxy) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        let mut ann = a.raw("id=ann&quiet").await;
        loop {
            let watch = Stopwatch::start_threads();
            proxy.set(Mode::Silent);
            let backend = Cluster::connect(Arc::clone(&registry), test_config());
            let backend = backend.await.unwrap();
            let mut receipt = backend.emit_tracked("ann", "waits");
            let queued = || backend.peers().iter().any(|peer| peer.queued > 0);
            eventually(|| queued() || receipt.delivery().now_or_never().is_some()).await;
            proxy.set(Mode::Pass);
            if receipt.delivery().await == Delivery::Delivered {
                assert_eq!(receipt.written().await, WriteOutcome::Written);
                assert_eq!(ann.text().await, "waits");
                return;
            }
            assert!(watch.has_lost(GIVEN_UP_AFTER));
        }
    });
}

#[test]
fn a_link_that_breaks_leaves_nobody_waiting() {
    run(async {
        let registry = memory_registry();
        let (a, proxy, b) = behind_proxy(&registry, Config::default()).await;
        let (mut ann, _) = stuck(&a).await;
        let mut receipt = track(&b.cluster, "ann", "waits").await;
        proxy.set(Mode::Refuse);
        proxy.cut();
        assert_eq!(receipt.written().await, WriteOutcome::Unknown);
        let mut receipt = b.cluster.emit_tracked("ann", "not sent");
        let outcome = receipt.written().await;
        let unreachable = WriteOutcome::NotDelivered(Delivery::Unreachable);
        assert!(
            [unreachable, WriteOutcome::Unknown].contains(&outcome),
            "{outcome}"
        );
        assert_eq!(text(&mut ann).await, "waits");
        proxy.set(Mode::Pass);
        eventually(|| b.cluster.peers()[0].up).await;
        let mut receipt = track(&b.cluster, "ann", "again").await;
        assert_eq!(receipt.written().await, WriteOutcome::Written);
    });
}

#[test]
fn a_node_reports_on_so_many_messages_at_once() {
    run(async {
        const REPORTS: usize = 4_096;
        let registry = memory_registry();
        let config = Config {
            outbox_frames: 4 * REPORTS,
            ..Config::default()
        };
        let a = TestNode::start_with(&registry, config, test_config()).await;
        let b = TestNode::start(&registry).await;
        a.wait_for_links(1).await;
        b.wait_for_links(1).await;
        let (mut ann, _) = stuck(&a).await;
        drop(track(&b.cluster, "ann", "0").await);
        let mut receipts = Vec::new();
        for n in 1..REPORTS + 100 {
            receipts.push(track(&b.cluster, "ann", &n.to_string()).await);
        }
        let beyond = receipts.last_mut().unwrap().written().await;
        assert_eq!(beyond, WriteOutcome::Unknown);
        assert_eq!(receipts[0].written().now_or_never(), None);
        while text(&mut ann).await != (REPORTS + 99).to_string() {}
        for receipt in &mut receipts[..REPORTS - 1] {
            assert_eq!(receipt.written().await, WriteOutcome::Written);
        }
        // There is room again.
        let mut receipt = track(&b.cluster, "ann", "again").await;
        assert_eq!(receipt.written().await, WriteOutcome::Written);
    });
}

#[test]
fn a_node_of_go_websocket_reports_nothing() {
    run(async {
        let registry = memory_registry();
        let ours = TestNode::start(&registry).await;
        let go = LegacyNode::start(&registry).await;
        go.connect("gil").await;
        deliver(&ours.cluster, "gil", "known").await;
        let mut receipt = track(&ours.cluster, "gil", "hello").await;
        assert_eq!(receipt.written().await, WriteOutcome::Unknown);
        assert_eq!(go.texts("gil").last().unwrap(), "hello");
    });
}

#[test]
fn a_client_that_moves_gets_everything_that_has_left() {
    run_threads(2, async {
        let registry = memory_registry();
        let [a, b, c] = TestNode::start_linked(&registry).await;
        let stop = Arc::new(AtomicBool::new(false));
        let sending = |cluster: Cluster, name: &'static str| {
            let stopped = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut receipts = Vec::new();
                while !stopped.load(Ordering::Acquire) {
                    for _ in 0..8 {
                        let text = format!("{name}{}", receipts.len());
                        receipts.push((text.clone(), cluster.emit_tracked("mover", text)));
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                receipts
            })
        };
        let senders = [
            sending(a.cluster.clone(), "a"),
            sending(c.cluster.clone(), "c"),
        ];
        let mut readers: Vec<Reader> = Vec::new();
        for round in 0..12 {
            let node = if round % 2 == 0 { &a } else { &b };
            readers.push(node.reader("id=mover&quiet").await);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        stop.store(true, Ordering::Release);
        let mut left = Vec::new();
        for sender in senders {
            for (text, mut receipt) in sender.await.unwrap() {
                if receipt.written().await == WriteOutcome::Written {
                    left.push(text);
                }
            }
        }
        assert!(!left.is_empty());
        deliver(&c.cluster, "mover", "end").await;
        let received = || readers.iter().flat_map(Reader::texts).collect::<Vec<_>>();
        eventually(|| {
            let received: std::collections::HashSet<_> = received().into_iter().collect();
            left.iter().all(|text| received.contains(text))
        })
        .await;
        let mut all = received();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "nothing came twice");
    });
}
