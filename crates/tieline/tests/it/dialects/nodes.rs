//! Notes between nodes.

use tieline::{Config, Delivery, Note};

use crate::kit::{
    LegacyNode, TestNode,
    dialects::{Renders, dialects},
    eventually, memory_registry, run, test_config,
};

/// Two linked nodes, with their dialects.
async fn two_nodes() -> [(TestNode, Renders); 2] {
    let registry = memory_registry();
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let (dialects, renders) = dialects();
        let config = Config::default();
        let node = TestNode::in_dialects(&registry, config, test_config(), dialects).await;
        nodes.push((node, renders));
    }
    for (node, _) in &nodes {
        node.wait_for_links(1).await;
    }
    nodes
        .try_into()
        .unwrap_or_else(|_| unreachable!("there are two"))
}

#[test]
fn a_note_reaches_clients_of_another_node_in_their_dialects() {
    run(async {
        let [(a, renders_a), (b, renders_b)] = two_nodes().await;
        let (mut plain, mut verbose, mut picky) = (Vec::new(), Vec::new(), Vec::new());
        for (node, name) in [(&a, "a"), (&b, "b")] {
            let query = format!("user=u&groups=g&quiet&id={name}");
            plain.push(node.client(&format!("{query}-plain")).await);
            verbose.push(
                node.client(&format!("{query}-verbose&dialect=verbose"))
                    .await,
            );
            picky.push(node.client(&format!("{query}-picky&dialect=picky")).await);
        }
        assert!(a.cluster.synced().await && b.cluster.synced().await);
        let note = |text: &str| Note::text(text).with_about("ada");
        let cluster = &a.cluster;
        let summary = cluster.emit_group("g", note("group")).await;
        assert_eq!(summary.reached.delivered, 6, "{summary:?}");
        assert_eq!(
            (renders_a.counts(), renders_b.counts()),
            ((1, 1), (1, 1)),
            "once for each dialect and node"
        );
        let summary = cluster.emit_user("u", note("user")).await;
        assert_eq!(summary.reached.delivered, 6, "{summary:?}");
        let summary = cluster.except(["b-plain"]).broadcast(note("- all")).await;
        assert_eq!(summary.reached.delivered, 3, "{summary:?}");
        for id in ["b-plain", "b-verbose", "b-picky"] {
            let delivery = cluster.emit(id, note("client")).await;
            assert_eq!(delivery, Delivery::Delivered, "{id}");
        }
        let many = ["a-verbose", "b-verbose", "b-picky", "nobody"];
        let deliveries = cluster.emit_many(many, note("many")).await;
        assert_eq!(deliveries.delivered, 3, "{deliveries:?}");
        let delivery = cluster.emit("b-picky", Note::other(3, "x")).await;
        assert_eq!(delivery, Delivery::Refused);
        let delivery = cluster.emit("b-verbose", Note::other(3, "x")).await;
        assert_eq!(delivery, Delivery::Delivered);

        for expected in ["group", "user", "client"] {
            assert_eq!(plain[1].text().await, expected);
        }
        for client in &mut verbose {
            for origin in ["group g|ada|text|group", "user u|ada|text|user"] {
                assert_eq!(client.text().await, origin);
            }
            assert_eq!(client.text().await, "everyone|ada|text|- all");
        }
        assert_eq!(verbose[0].text().await, "server|ada|text|many");
        assert_eq!(verbose[1].text().await, "server|ada|text|client");
        assert_eq!(verbose[1].text().await, "server|ada|text|many");
        assert_eq!(verbose[1].text().await, "server||kind 3|x");
        for expected in ["GROUP", "USER", "CLIENT", "MANY"] {
            assert_eq!(picky[1].text().await, expected);
        }
    });
}

#[test]
fn frames_and_notes_from_another_node_keep_their_order() {
    run(async {
        let [(a, _), (b, _)] = two_nodes().await;
        let mut client = b.client("id=b&groups=g&dialect=picky&quiet").await;
        assert!(b.cluster.synced().await);
        for n in 0..50 {
            drop(a.cluster.emit("b", Note::text(format!("note {n}"))));
            drop(a.cluster.emit_group("g", format!("frame {n}")));
        }
        for n in 0..50 {
            assert_eq!(client.text().await, format!("NOTE {n}"));
            assert_eq!(client.text().await, format!("frame {n}"));
        }
    });
}

#[test]
fn a_node_of_go_websocket_gets_the_data() {
    run(async {
        let registry = memory_registry();
        let ours = TestNode::start(&registry).await;
        let go = LegacyNode::start(&registry).await;
        go.connect("gil").await;
        let note = || Note::text("the data").with_about("ada");
        // The first message dials the node, and is given up if that takes long.
        while ours.cluster.emit("gil", note()).await != Delivery::Delivered {}
        assert!(go.texts("gil").iter().all(|text| text == "the data"));
        let before = go.texts("gil").len();
        let summary = ours.cluster.broadcast(note()).await;
        assert!(summary.is_complete(), "{summary:?}");
        eventually(|| go.texts("gil").len() > before).await;
        assert!(go.texts("gil").iter().all(|text| text == "the data"));
    });
}

#[test]
fn a_filter_travels_and_is_asked_on_every_node() {
    run(async {
        let [(a, _), (b, _)] = two_nodes().await;
        let mut ada = b.client("user=ada&groups=g&quiet").await;
        let mut ben = b.client("user=ben&groups=g&quiet").await;
        let mut here = a.client("user=ada&groups=g&quiet").await;
        assert!(a.cluster.synced().await && b.cluster.synced().await);
        let cluster = &a.cluster;
        let matching = cluster.matching("user ada");
        let summary = matching.emit_group("g", Note::text("1")).await;
        assert_eq!(summary.reached.delivered, 2, "{summary:?}");
        assert!(summary.is_complete());
        let summary = cluster.matching("user ben").broadcast("2").await;
        assert_eq!(summary.reached.delivered, 1, "{summary:?}");
        let summary = cluster.matching("group g").emit_user("ada", "3").await;
        assert_eq!(summary.reached.delivered, 2, "{summary:?}");
        let summary = cluster.matching("nonsense").broadcast("no").await;
        assert!(summary.reached.filter_refused && !summary.is_complete());
        assert_eq!(summary.reached.delivered, 0, "{summary:?}");
        for client in [&mut ada, &mut here] {
            assert_eq!(client.text().await, "1");
            assert_eq!(client.text().await, "3");
        }
        assert_eq!(ben.text().await, "2");
    });
}

#[test]
fn a_node_that_cannot_read_a_filter_sends_to_nobody() {
    run(async {
        let registry = memory_registry();
        let (config, cluster) = (Config::default(), test_config());
        let ours = TestNode::in_dialects(&registry, config, cluster, dialects().0).await;
        // It has no language.
        let other = TestNode::start(&registry).await;
        let go = LegacyNode::start(&registry).await;
        for node in [&ours, &other] {
            node.wait_for_links(1).await;
        }
        let mut here = ours.client("user=ada&quiet").await;
        let mut there = other.client("user=ada&quiet").await;
        go.connect("gil").await;
        while ours.cluster.emit("gil", "first").await != Delivery::Delivered {}
        let summary = ours.cluster.matching("user ada").broadcast("1").await;
        assert_eq!(summary.reached.delivered, 1, "{summary:?}");
        assert!(summary.reached.filter_refused && !summary.is_complete());
        ours.cluster.broadcast("2").await;
        assert_eq!(here.text().await, "1");
        assert_eq!(here.text().await, "2");
        assert_eq!(there.text().await, "2");
        eventually(|| go.texts("gil").iter().any(|text| text == "2")).await;
        assert!(!go.texts("gil").contains(&"1".to_owned()));
    });
}
