//! The link between two nodes is cut, slow, or full, while both reach the registry.

use std::time::Duration;

use tieline::{ClusterConfig, Config, Delivery};
use tokio::time::sleep;

use super::numbered_messages::{NumberedMessages, timed};
use crate::kit::{
    DECIDED_WITHIN, Mode, Proxy, Reader, Stopwatch, TestNode, eventually, memory_registry, run,
    test_config,
};

/// Two nodes that reach each other through proxies, and a third without one; each has a client,
/// named after the node's letter.
pub(super) struct ProxiedNodes {
    pub(super) a: TestNode,
    pub(super) b: TestNode,
    pub(super) c: TestNode,
    /// The proxies in front of the peer ports of `b` and `a`.
    pub(super) to_b: Proxy,
    pub(super) to_a: Proxy,
    pub(super) at_a: Reader,
    pub(super) at_b: Reader,
    pub(super) at_c: Reader,
}

impl ProxiedNodes {
    pub(super) async fn start(config: Config, cluster: ClusterConfig) -> Self {
        let registry = memory_registry();
        let (a, to_a) = TestNode::behind_proxy(&registry, config.clone(), cluster.clone()).await;
        let (b, to_b) = TestNode::behind_proxy(&registry, config, cluster).await;
        let c = TestNode::start(&registry).await;
        for member in [&a, &b, &c] {
            member.wait_for_links(2).await;
        }
        Self {
            at_a: a.reader("id=at-a&quiet").await,
            at_b: b.reader("id=at-b&quiet").await,
            at_c: c.reader("id=at-c&quiet").await,
            a,
            b,
            c,
            to_b,
            to_a,
        }
    }

    /// Everything works except the links between `a` and `b`.
    pub(super) async fn assert_others_work(&self) {
        for (from, id) in [
            (&self.a, "at-a"),
            (&self.b, "at-b"),
            (&self.c, "at-c"),
            (&self.a, "at-c"),
        ] {
            assert_eq!(from.cluster.emit(id, "going on").await, Delivery::Delivered);
        }
    }

    /// A broadcast from `a` is decided in time, and its summary names `b` as missed.
    pub(super) async fn assert_broadcast_misses_b(&self) {
        let begun = Stopwatch::start();
        let summary = self.a.cluster.broadcast("to all").await;
        let took = begun.elapsed();
        assert!(took <= DECIDED_WITHIN, "a broadcast decided after {took:?}");
        let missed: Vec<_> = summary.missed().map(|(node, _)| node.to_owned()).collect();
        assert_eq!(missed, [self.b.peer_address()], "{summary:?}");
        assert_eq!(summary.reached.delivered, 2, "{summary:?}");
        for (_, why) in summary.missed() {
            assert!(
                [Delivery::Unreachable, Delivery::Unknown].contains(&why),
                "{why}"
            );
        }
    }

    /// Waits until both links work again.
    pub(super) async fn wait_until_healed(&self) {
        for (from, id) in [(&self.a, "at-b"), (&self.b, "at-a")] {
            while !from.cluster.emit(id, "healed").await.is_delivered() {
                sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

#[test]
fn a_cut_link_is_reported_in_time_and_heals() {
    run(async {
        let nodes = ProxiedNodes::start(Config::default(), test_config()).await;
        let there = NumberedMessages::start(&nodes.a.cluster, "at-b");
        let back = NumberedMessages::start(&nodes.b.cluster, "at-a");
        for round in 1..=4 {
            let before = nodes.at_b.numbers().len();
            eventually(|| nodes.at_b.numbers().len() > before + 50).await;
            for proxy in [&nodes.to_a, &nodes.to_b] {
                proxy.set(Mode::Refuse);
                proxy.cut();
            }
            eventually(|| nodes.a.cluster.peers().iter().any(|peer| !peer.up)).await;
            let (delivery, took) = timed(&nodes.a.cluster, "at-b", "no way").await.unwrap();
            assert!(
                [Delivery::Unreachable, Delivery::Unknown].contains(&delivery),
                "{delivery}"
            );
            assert!(took <= DECIDED_WITHIN, "{took:?}");
            nodes.assert_broadcast_misses_b().await;
            nodes.assert_others_work().await;
            for proxy in [&nodes.to_a, &nodes.to_b] {
                proxy.set(Mode::Pass);
            }
            nodes.wait_until_healed().await;
            // Dials that fail end no link.
            assert_eq!(nodes.a.cluster.stats().links_ended, round);
        }
        let there = there.verify(&nodes.at_b).await;
        let back = back.verify(&nodes.at_a).await;
        assert!(
            there[1].1 > 0 && back[1].1 > 0,
            "some were unreachable: {there:?} {back:?}"
        );
        let summary = nodes.a.cluster.broadcast("whole again").await;
        assert!(
            summary.is_complete() && summary.reached.delivered == 3,
            "{summary:?}"
        );
    });
}

#[test]
fn cuts_in_quick_succession_lose_nothing_that_was_delivered() {
    run(async {
        let nodes = ProxiedNodes::start(Config::default(), test_config()).await;
        let there = NumberedMessages::start(&nodes.a.cluster, "at-b");
        let back = NumberedMessages::start(&nodes.b.cluster, "at-a");
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..40 {
            sleep(Duration::from_millis(random.u64(5..60))).await;
            nodes.to_b.cut();
            sleep(Duration::from_millis(random.u64(0..20))).await;
            nodes.to_a.cut();
        }
        nodes.wait_until_healed().await;
        let there = there.verify(&nodes.at_b).await;
        let back = back.verify(&nodes.at_a).await;
        assert!(there[0].1 > 0 && back[0].1 > 0, "{there:?} {back:?}");
    });
}

#[test]
fn a_peer_that_stops_reading_fills_its_own_queue_only() {
    const MESSAGE: usize = 32 << 10;
    const QUEUE: usize = 1 << 20;
    run(async {
        let config = Config {
            message_size: MESSAGE,
            ..Config::default()
        };
        let cluster = ClusterConfig {
            link_queue_bytes: QUEUE,
            ..test_config()
        };
        let nodes = ProxiedNodes::start(config, cluster).await;
        assert!(nodes.a.cluster.emit("at-b", "warm").await.is_delivered());
        nodes.to_b.set(Mode::SilentThere);
        let unharmed = NumberedMessages::start(&nodes.a.cluster, "at-c");
        let large = "x".repeat(MESSAGE);
        let mut flood = Vec::new();
        for _ in 0..20 {
            flood.extend((0..100).map(|_| timed(&nodes.a.cluster, "at-b", large.clone())));
            sleep(Duration::from_millis(10)).await;
        }
        let mut taken = 0;
        let mut full = 0;
        for receipt in flood {
            let (delivery, took) = receipt.await.unwrap();
            assert!(took <= DECIDED_WITHIN, "{delivery} after {took:?}");
            assert!(!delivery.is_delivered(), "nothing passes");
            full += usize::from(delivery == Delivery::QueueFull);
            taken += usize::from(delivery == Delivery::Unknown) * MESSAGE;
        }
        assert!(full > 1000, "{full} of 2000 found the queue full");
        // The stream's window, HTTP/2, the kernel and the proxy buffer this much besides the queue.
        assert!(taken < QUEUE + (16 << 20), "{taken} bytes were taken in");
        let unharmed = unharmed.verify(&nodes.at_c).await;
        assert_eq!(
            unharmed[0].1,
            unharmed.iter().map(|(_, count)| count).sum::<usize>(),
            "{unharmed:?}"
        );
        nodes.to_b.set(Mode::Pass);
        nodes.wait_until_healed().await;
    });
}
