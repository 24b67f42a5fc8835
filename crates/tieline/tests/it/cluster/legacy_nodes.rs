//! A cluster that contains nodes of go-websocket.

use std::{collections::HashSet, ops::Range, sync::Arc, time::Duration};

use tieline::{Cluster, Config, Delivery, OnlineStatus, SlowConsumer, registry::Registry};
use tokio::time::sleep;
use tonic::Code;

use crate::kit::{
    LegacyNode, Raw, Stopwatch, TestNode, entries, eventually, memory_registry, run, test_config,
    was_given_up,
};

const MESSAGES: usize = 210;
/// Messages in flight.
const MAX_OPEN: usize = 30;

/// The time until an audit: its interval, its jitter, and some time for a busy machine.
fn audit() -> Duration {
    test_config().audit_interval.mul_f64(1.1) + Duration::from_millis(700)
}

/// Delivers the first message to a legacy node, for which the node is dialed. A message waits for a dial
/// for 200 ms, and is sent again only if a busy machine took them.
async fn deliver_first(from: &Cluster, id: &str, text: &str) {
    loop {
        let watch = Stopwatch::start();
        let delivery = from.emit(id, text).await;
        if delivery == Delivery::Delivered {
            return;
        }
        let is_excused = watch.has_lost(Duration::from_millis(190));
        assert!(
            delivery == Delivery::Unreachable && is_excused,
            "{delivery}"
        );
    }
}

async fn place(registry: &Arc<dyn Registry>, id: &str) -> Option<String> {
    entries(&**registry).await.remove(id)
}

#[test]
fn both_reach_each_others_clients() {
    run(async {
        let registry = memory_registry();
        let ours = TestNode::start(&registry).await;
        let go = LegacyNode::start(&registry).await;
        let mut ann = ours.client("id=ann&quiet").await;
        go.connect("gil").await;
        deliver_first(&ours.cluster, "gil", "from us").await;
        assert_eq!(go.texts("gil"), ["from us"]);
        assert!(go.emit("ann", "from Gö".as_bytes()).await.unwrap());
        assert_eq!(ann.text().await, "from Gö");
        // Go does not say whether data are text: UTF-8 is sent as text.
        assert!(go.emit("ann", &[0xff, 0, 0xfe]).await.unwrap());
        assert_eq!(ann.next().await.into_data(), vec![0xff, 0, 0xfe]);
        assert!(go.online("ann").await.unwrap());
        let present = ours.cluster.online(["gil", "ann", "nobody"]).await;
        assert_eq!(
            present,
            [
                OnlineStatus::Online,
                OnlineStatus::Online,
                OnlineStatus::Offline
            ]
        );
        go.disconnect("gil").await;
        assert_eq!(ours.cluster.emit("gil", "gone").await, Delivery::Offline);
        ann.close(1000).await;
        eventually(|| ours.cluster.entries() == 0).await;
        assert!(!go.emit("ann", b"gone").await.unwrap());
        assert!(!go.online("ann").await.unwrap());
        // An entry that names our node for a client that it does not have: emits report it offline,
        // and the entry is removed.
        registry.set("ghost", &ours.peer_address()).await.unwrap();
        assert!(!go.emit("ghost", b"boo").await.unwrap());
        while place(&registry, "ghost").await.is_some() {
            sleep(Duration::from_millis(5)).await;
        }
    });
}

/// Sends numbers to both clients, and every seventh to all. Returns those that a busy machine left no
/// time for: the calls are made in sequence, within the second in which receipts are decided.
async fn send_to_legacy_node(from: &Cluster, numbers: Range<usize>) -> Vec<usize> {
    let watch = Stopwatch::start();
    let (mut receipts, mut summaries) = (Vec::new(), Vec::new());
    for n in numbers {
        match n % 7 {
            6 => summaries.push((n, from.broadcast(n.to_string()))),
            _ => receipts.push((n, from.emit(["gil", "gus"][n % 2], n.to_string()))),
        }
    }
    let mut given_up = Vec::new();
    for (n, receipt) in receipts {
        let delivery = receipt.await;
        if delivery != Delivery::Delivered {
            assert!(was_given_up(delivery, &watch), "{n}: {delivery}");
            given_up.push(n);
        }
    }
    for (n, summary) in summaries {
        let summary = summary.await;
        for (_, why) in summary.missed() {
            assert!(was_given_up(why, &watch), "{n}: {summary:?}");
            given_up.push(n);
        }
    }
    given_up
}

#[test]
fn order_is_kept_to_a_legacy_node() {
    run(async {
        let registry = memory_registry();
        let ours = TestNode::start(&registry).await;
        let go = LegacyNode::start(&registry).await;
        for id in ["gil", "gus"] {
            go.connect(id).await;
            // From now on broadcasts reach the legacy node.
            deliver_first(&ours.cluster, id, "known").await;
        }
        let mut given_up = HashSet::new();
        for first in (0..MESSAGES).step_by(MAX_OPEN) {
            given_up.extend(send_to_legacy_node(&ours.cluster, first..first + MAX_OPEN).await);
        }
        let is_judged = |n: &usize| !given_up.contains(n);
        for (i, id) in ["gil", "gus"].into_iter().enumerate() {
            let expected = (0..MESSAGES).filter(|n| n % 7 == 6 || n % 2 == i);
            let expected: Vec<_> = expected.filter(is_judged).collect();
            let got = || -> Vec<_> {
                let numbers = go
                    .texts(id)
                    .into_iter()
                    .filter_map(|text| text.parse().ok());
                numbers.filter(is_judged).collect()
            };
            eventually(|| got().len() >= expected.len()).await;
            assert_eq!(got(), expected);
        }
    });
}

#[test]
fn broadcasts_reach_both_and_count_only_our_clients() {
    run(async {
        let registry = memory_registry();
        let [a, b]: [TestNode; 2] = TestNode::start_linked(&registry).await;
        let go = LegacyNode::start(&registry).await;
        let (ann, ben) = (
            a.reader("id=ann&quiet").await,
            b.reader("id=ben&quiet").await,
        );
        go.connect("gil").await;
        go.connect("gus").await;
        let connected = Stopwatch::start();
        // A legacy node does not announce itself: an audit finds it.
        loop {
            let summary = a.cluster.broadcast("found?").await;
            assert_eq!(summary.reached.delivered, 2, "{summary:?}");
            if go.texts("gil").contains(&"found?".to_owned()) {
                assert!(
                    summary.is_complete() && summary.nodes.len() == 3,
                    "{summary:?}"
                );
                break;
            }
            assert!(connected.elapsed() <= audit(), "{:?}", connected.elapsed());
            sleep(Duration::from_millis(20)).await;
        }
        let counts = go.broadcast("from Go").await;
        let expected = [
            (a.peer_address(), 1),
            (b.peer_address(), 1),
            (go.address(), 1),
        ];
        assert_eq!(counts, expected.into());
        go.broadcast_one_by_one("one by one").await;
        for reader in [&ann, &ben] {
            reader.until("from Go").await;
            reader.until("one by one").await;
        }
        for id in ["ann", "ben", "gil", "gus"] {
            assert!(
                place(&registry, id).await.is_some(),
                "{id}'s entry was deleted"
            );
        }
    });
}

#[test]
fn a_full_outbox_is_no_reason_to_delete_an_entry() {
    run(async {
        let registry = memory_registry();
        let config = Config {
            slow_consumer: SlowConsumer::DropNewest,
            outbox_frames: 4,
            ..Config::default()
        };
        let ours = TestNode::start_with(&registry, config, test_config()).await;
        let go = LegacyNode::start(&registry).await;
        let mut slow = Raw::narrow(ours.address).await;
        assert_eq!(slow.upgrade("/?id=slow&quiet", "").await.status, 101);
        let large = vec![b'x'; 256 << 10];
        let refused = loop {
            match go.emit("slow", &large).await {
                Ok(delivered) => assert!(delivered),
                Err(status) => break status,
            }
        };
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        go.broadcast_one_by_one(&"x".repeat(256 << 10)).await;
        assert_eq!(place(&registry, "slow").await, Some(ours.peer_address()));
        assert!(go.online("slow").await.unwrap());
    });
}

#[test]
fn a_late_delete_by_a_legacy_node_leaves_our_client_reachable() {
    run(async {
        let registry = memory_registry();
        let [a, b]: [TestNode; 2] = TestNode::start_linked(&registry).await;
        let go = LegacyNode::start(&registry).await;
        // The client was at the legacy node, moved to ours, and only then does the legacy node
        // notice.
        go.connect("ann").await;
        deliver_first(&b.cluster, "ann", "at Go").await;
        let ann = a.reader("id=ann&quiet").await;
        assert_eq!(place(&registry, "ann").await, Some(a.peer_address()));
        for round in 0..3 {
            go.disconnect("ann").await;
            let deleted = Stopwatch::start();
            let mut n = 0;
            loop {
                for from in [&a, &b] {
                    let delivery = from.cluster.emit("ann", format!("{round}")).await;
                    assert_eq!(delivery, Delivery::Delivered, "{n} of round {round}");
                    n += 1;
                }
                if place(&registry, "ann").await == Some(a.peer_address()) {
                    break;
                }
                assert!(deleted.elapsed() <= audit(), "{:?}", deleted.elapsed());
                sleep(Duration::from_millis(5)).await;
            }
            assert!(go.emit("ann", b"found again").await.unwrap());
        }
        eventually(|| {
            ann.texts()
                .iter()
                .filter(|text| *text == "found again")
                .count()
                == 3
        })
        .await;
        assert_eq!(go.texts("ann"), Vec::<String>::new());
    });
}

#[test]
fn a_client_that_moves_to_a_legacy_node_is_followed_and_its_old_connection_closed() {
    run(async {
        let registry = memory_registry();
        let [a, b, c]: [TestNode; 3] = TestNode::start_linked(&registry).await;
        let go = LegacyNode::start(&registry).await;
        // Audits are rare until a node has noticed that it shares the registry.
        go.connect("gil").await;
        while !go.texts("gil").contains(&"found?".to_owned()) {
            a.cluster.broadcast("found?").await;
            sleep(Duration::from_millis(5)).await;
        }
        let half_open = a.reader("id=ann&quiet").await;
        assert!(b.cluster.emit("ann", "at a").await.is_delivered());
        go.connect("ann").await;
        let moved = Stopwatch::start();
        // A node without a cached route follows the new entry at once.
        deliver_first(&c.cluster, "ann", "moved").await;
        assert_eq!(go.texts("ann"), ["moved"]);
        assert_eq!(half_open.until_closed().await, Some(4409));
        assert!(moved.elapsed() <= audit(), "{:?}", moved.elapsed());
        eventually(|| !a.has("ann")).await;
        for from in [&a, &b, &c] {
            assert_eq!(from.cluster.emit("ann", "after").await, Delivery::Delivered);
        }
        assert_eq!(go.texts("ann"), ["moved", "after", "after", "after"]);
        assert_eq!(place(&registry, "ann").await, Some(go.address()));
        // Our nodes leave no entry behind.
        go.disconnect("ann").await;
        while registry
            .locate("ann", true)
            .await
            .unwrap()
            .entry()
            .is_some()
        {
            assert!(moved.elapsed() <= 2 * audit(), "{:?}", moved.elapsed());
            sleep(Duration::from_millis(20)).await;
        }
    });
}
