//! A client of any node is reached from any node.

use std::time::Duration;

use tieline::{
    CloseCode, CloseFrame, Cluster, ClusterConfig, Config, Delivery, Membership, Message,
    OnlineStatus, registry::Cursor,
};

use crate::kit::{Stopwatch, TestNode, eventually, memory_registry, run, test_config};

#[test]
fn an_emit_reaches_a_client_of_another_node() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let mut bob = b.client("id=bob").await;
        assert_eq!(a.cluster.emit("bob", "hello").await, Delivery::Delivered);
        assert_eq!(bob.text().await, "hello");
        let bytes = Message::Binary(vec![0, 255]);
        assert_eq!(a.cluster.emit("bob", bytes).await, Delivery::Delivered);
        assert!(bob.next().await.is_binary());
        assert_eq!(a.cluster.emit("nobody", "hello").await, Delivery::Offline);
    });
}

#[test]
fn users_groups_and_everyone_are_reached_on_all_nodes() {
    run(async {
        let registry = memory_registry();
        let [a, b, c] = TestNode::start_linked(&registry).await;
        let mut ann = a.client("id=ann&user=ann&groups=room").await;
        let mut ben = b.client("id=ben&user=ann&groups=room").await;
        let mut cas = c.client("id=cas&user=cas").await;
        assert!(b.cluster.synced().await && a.cluster.synced().await);

        let summary = c.cluster.emit_user("ann", "to the user").await;
        assert_eq!(summary.reached.delivered, 2, "{summary:?}");
        let summary = c
            .cluster
            .except(["ann"])
            .emit_group("room", "to the room")
            .await;
        assert_eq!(summary.reached.delivered, 1, "{summary:?}");
        let summary = c.cluster.broadcast("to all").await;
        assert_eq!(summary.reached.delivered, 3, "{summary:?}");
        assert!(summary.is_complete());
        assert_eq!(summary.nodes.len(), 3);

        for expected in ["to the user", "to all"] {
            assert_eq!(ann.text().await, expected);
        }
        for expected in ["to the user", "to the room", "to all"] {
            assert_eq!(ben.text().await, expected);
        }
        assert_eq!(cas.text().await, "to all");
    });
}

#[test]
fn a_backend_without_a_port_reaches_clients() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let mut ann = a.client("id=ann").await;
        let mut ben = b.client("id=ben").await;
        let backend = Cluster::connect(registry, ClusterConfig::default())
            .await
            .unwrap();
        assert_eq!(backend.address(), None);
        assert_eq!(backend.emit("ann", "one").await, Delivery::Delivered);
        assert_eq!(backend.broadcast("all").await.reached.delivered, 2);
        assert_eq!(ann.text().await, "one");
        assert_eq!(ann.text().await, "all");
        assert_eq!(ben.text().await, "all");
        let present = backend.online(["ann", "nobody", "ben"]).await;
        assert_eq!(
            present,
            [
                OnlineStatus::Online,
                OnlineStatus::Offline,
                OnlineStatus::Online
            ]
        );
    });
}

#[test]
fn clients_join_groups_and_are_closed_from_any_node() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let mut ben = b.client("id=ben").await;
        assert_eq!(
            a.cluster.join_group("ben", "room").await,
            Membership::Changed
        );
        assert_eq!(
            a.cluster.join_group("ben", "room").await,
            Membership::Unchanged
        );
        assert_eq!(
            a.cluster.emit_group("room", "in").await.reached.delivered,
            1
        );
        assert_eq!(
            a.cluster.leave_group("ben", "room").await,
            Membership::Changed
        );
        assert_eq!(
            a.cluster.join_group("nobody", "room").await,
            Membership::Offline
        );
        assert_eq!(
            a.cluster.emit_group("room", "out").await.reached.delivered,
            0
        );
        assert_eq!(ben.text().await, "in");
        let code = CloseCode::new(4000).unwrap();
        let closed = a
            .cluster
            .close("ben", CloseFrame::new(code, "enough"))
            .await;
        assert_eq!(closed, Delivery::Delivered);
        assert_eq!(ben.closed().await, Some(4000));
        eventually(|| b.node.hub().is_empty()).await;
        assert_eq!(a.cluster.emit("ben", "gone").await, Delivery::Offline);
    });
}

#[test]
fn lists_cover_all_nodes_page_by_page() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let mut clients = Vec::new();
        for i in 0..10 {
            let node = if i % 2 == 0 { &a } else { &b };
            let query = format!("id=client-{i}&user=user-{}&groups=room", i / 2);
            clients.push(node.client(&query).await);
        }
        b.cluster.synced().await;
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = a.cluster.clients(after.as_deref(), 3).await;
            after = page.names.last().map(|(name, _)| name.to_string());
            seen.extend(page.names);
            if !page.more {
                break;
            }
        }
        let names: Vec<_> = seen.iter().map(|(name, _)| name.to_string()).collect();
        let expected: Vec<_> = (0..10).map(|i| format!("client-{i}")).collect();
        assert_eq!(names, expected);
        let of_b = seen
            .iter()
            .filter(|(_, node)| node.as_deref() == b.cluster.address());
        assert_eq!(of_b.count(), 5);
        assert_eq!(a.cluster.members("room", None, 100).await.names.len(), 10);
        assert_eq!(a.cluster.users(None, 100).await.names.len(), 10);
    });
}

#[test]
fn a_client_that_moves_is_followed() {
    run(async {
        let registry = memory_registry();
        let [a, b, c] = TestNode::start_linked(&registry).await;
        let first = b.client("id=roamer").await;
        assert_eq!(a.cluster.emit("roamer", "at b").await, Delivery::Delivered);
        let mut second = c.client("id=roamer").await;
        // The older connection is closed as replaced; the newer one receives what is sent from now
        // on.
        for i in 0..100 {
            assert_eq!(
                a.cluster.emit("roamer", format!("{i}")).await,
                Delivery::Delivered
            );
        }
        drop(first);
        let mut last = None;
        while last.as_deref() != Some("99") {
            last = Some(second.text().await);
        }
    });
}

#[test]
fn a_drained_node_leaves_nothing_behind() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let ben = b.client("id=ben").await;
        let closing = tokio::spawn(ben.closed());
        let drained = b.stop().await;
        assert_eq!((drained.closed, drained.remaining), (1, 0));
        assert_eq!(closing.await.unwrap(), Some(1012));
        assert_eq!(a.cluster.emit("ben", "gone").await, Delivery::Offline);
        assert_eq!(registry.nodes().await.unwrap().len(), 1);
        assert!(
            registry
                .scan(Cursor::default())
                .await
                .unwrap()
                .items
                .is_empty()
        );
        eventually(|| a.cluster.peers().is_empty()).await;
    });
}

#[test]
fn a_node_that_comes_back_is_reached_at_once() {
    run(async {
        let registry = memory_registry();
        let a = TestNode::start(&registry).await;
        let b = TestNode::start(&registry).await;
        let config = ClusterConfig {
            listen: b.cluster.address().unwrap().parse().unwrap(),
            ..test_config()
        };
        a.wait_for_links(1).await;
        b.stop().await;
        // Long enough for the pauses between dials to grow.
        let down = std::time::Instant::now();
        eventually(|| down.elapsed() > Duration::from_millis(1500)).await;
        let b = TestNode::start_with(&registry, Config::default(), config).await;
        let mut ben = b.client("id=ben").await;
        let back = Stopwatch::start();
        a.wait_for_links(1).await;
        assert!(
            back.elapsed() < Duration::from_millis(300),
            "{:?}",
            back.elapsed()
        );
        assert_eq!(a.cluster.emit("ben", "welcome").await, Delivery::Delivered);
        assert_eq!(ben.text().await, "welcome");
    });
}
