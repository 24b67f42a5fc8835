//! One message to many ids.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tieline::{Cluster, Config, Deliveries, Delivery};

use crate::kit::{
    LegacyNode, Mode, Reader, TestNode, deliver, eventually, memory_registry, run, run_threads,
    test_config,
};

/// The ids that were missed, in order.
fn missed(deliveries: &Deliveries) -> Vec<(&str, Delivery)> {
    let mut missed: Vec<_> = deliveries
        .missed
        .iter()
        .map(|(id, why)| (&**id, *why))
        .collect();
    missed.sort_by_key(|(id, _)| *id);
    missed
}

/// Sends to ids that are all connected, until each of them was reached at once.
async fn reach(cluster: &Cluster, ids: &[String], text: &str) {
    while !cluster.emit_many(ids, text).await.is_complete() {}
}

#[test]
fn many_ids_on_all_nodes_are_reached_and_the_others_named() {
    run(async {
        let registry = memory_registry();
        let [a, b, c] = TestNode::start_linked(&registry).await;
        let mut clients = Vec::new();
        let ids: Vec<_> = (0..12).map(|n| format!("client{n:02}")).collect();
        for (n, id) in ids.iter().enumerate() {
            let node = [&a, &b, &c][n % 3];
            clients.push(node.client(&format!("id={id}&quiet")).await);
        }
        // Routes are cached from then on.
        reach(&a.cluster, &ids, "known").await;
        for round in 0..3 {
            let mut to: Vec<&str> = ids.iter().map(String::as_str).collect();
            to.extend(["nobody", ""]);
            let deliveries = a.cluster.emit_many(to, format!("round {round}")).await;
            let nobody = [("", Delivery::Offline), ("nobody", Delivery::Offline)];
            assert_eq!(missed(&deliveries), nobody);
            assert_eq!(deliveries.delivered, 12);
        }
        for client in &mut clients {
            while client.text().await != "round 0" {}
            assert_eq!(client.text().await, "round 1");
            assert_eq!(client.text().await, "round 2");
        }
        let here = a.node.hub().emit_many(&ids, "from the hub").await;
        assert_eq!((here.delivered, here.missed.len()), (4, 8));
        let nobody = a.cluster.emit_many(Vec::<String>::new(), "to nobody").await;
        assert_eq!(nobody, Deliveries::default());
        let single = TestNode::single(Config::default()).await;
        let alone = single.cluster.emit_many(["ann"], "hello").await;
        assert_eq!(missed(&alone), [("ann", Delivery::Offline)]);
    });
}

#[test]
fn the_receivers_of_a_large_crowd_get_one_message_each() {
    run(async {
        const CLIENTS: usize = 3_000;
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let ids: Vec<_> = (0..CLIENTS).map(|n| format!("c{n}")).collect();
        let mut clients = Vec::new();
        for id in &ids {
            clients.push(b.raw(&format!("id={id}&quiet")).await);
        }
        reach(&a.cluster, &ids, "known").await;
        // The limit of what may wait for a node is 8 MiB: single messages would not fit.
        let payload = "x".repeat(8 << 10);
        loop {
            let deliveries = a.cluster.emit_many(&ids, payload.as_str()).await;
            let is_full = |(_, why): &(_, Delivery)| *why == Delivery::QueueFull;
            assert!(!deliveries.missed.iter().any(is_full));
            // A busy machine may need another round.
            if deliveries.delivered == CLIENTS as u64 {
                return;
            }
        }
    });
}

#[test]
fn order_is_kept_with_single_messages_while_clients_move() {
    run_threads(2, async {
        let registry = memory_registry();
        let [a, b, c] = TestNode::start_linked(&registry).await;
        let resident = a.reader("id=resident&quiet").await;
        let stop = Arc::new(AtomicBool::new(false));
        let (cluster, stopped) = (c.cluster.clone(), Arc::clone(&stop));
        let sending = tokio::spawn(async move {
            let mut n = 0;
            while !stopped.load(Ordering::Acquire) {
                for _ in 0..8 {
                    if n % 2 == 0 {
                        drop(cluster.emit_many(["resident", "mover"], n.to_string()));
                    } else {
                        drop(cluster.emit("mover", n.to_string()));
                    }
                    n += 1;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let mut readers: Vec<Reader> = vec![resident];
        for round in 0..12 {
            let node = if round % 2 == 0 { &a } else { &b };
            readers.push(node.reader("id=mover&quiet").await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.store(true, Ordering::Release);
        sending.await.unwrap();
        deliver(&c.cluster, "mover", "end").await;
        let mut received = 0;
        for reader in readers {
            let numbers = reader
                .texts()
                .into_iter()
                .filter_map(|text| text.parse().ok());
            let numbers: Vec<u64> = numbers.collect();
            assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
            received += numbers.len();
        }
        assert!(received > 0);
    });
}

#[test]
fn a_node_that_is_not_reached_is_named_for_each_of_its_ids() {
    run(async {
        let registry = memory_registry();
        let (a, proxy) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        let b = TestNode::start(&registry).await;
        a.wait_for_links(1).await;
        b.wait_for_links(1).await;
        let ids = ["ann", "ben", "cas"].map(String::from);
        let mut clients = Vec::new();
        for id in &ids {
            clients.push(a.client(&format!("id={id}&quiet")).await);
        }
        reach(&b.cluster, &ids, "known").await;
        proxy.set(Mode::Silent);
        let deliveries = b.cluster.emit_many(&ids, "lost?").await;
        assert_eq!(deliveries.delivered, 0);
        assert_eq!(deliveries.missed.len(), 3);
        for (_, why) in &deliveries.missed {
            assert!(
                matches!(why, Delivery::Unknown | Delivery::Unreachable),
                "{why}"
            );
        }
        proxy.set(Mode::Pass);
        eventually(|| b.cluster.peers()[0].up).await;
        reach(&b.cluster, &ids, "again").await;
    });
}

#[test]
fn a_node_of_go_websocket_gets_single_messages() {
    run(async {
        let registry = memory_registry();
        let ours = TestNode::start(&registry).await;
        let go = LegacyNode::start(&registry).await;
        let ids = ["gil", "gus"].map(String::from);
        for id in &ids {
            go.connect(id).await;
        }
        reach(&ours.cluster, &ids, "known").await;
        reach(&ours.cluster, &ids, "to many").await;
        for id in &ids {
            assert_eq!(go.texts(id).last().unwrap(), "to many");
        }
    });
}
