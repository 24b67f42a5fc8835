//! Lists and counts without handles, from anywhere in the cluster.

use tieline::{AskError, Config, Listed};

use crate::kit::{
    LegacyNode, Mode, TestNode, deliver, eventually, linked_backend, memory_registry, run,
    test_config,
};

fn names(listed: &Listed) -> Vec<&str> {
    listed.names.iter().map(|(name, _)| &**name).collect()
}

#[test]
fn what_all_nodes_hold_is_listed_and_counted_from_anywhere() {
    run(async {
        let registry = memory_registry();
        let [a, b, c] = TestNode::start_linked(&registry).await;
        let backend = linked_backend(registry, 3).await;
        let clients = [
            a.client("id=ann&user=one&groups=hall,room").await,
            a.client("id=amy&user=one&groups=room").await,
            b.client("id=ben&user=one&groups=room").await,
            c.client("id=cas&user=two").await,
        ];
        for node in [&a, &b, &c] {
            while !node.cluster.synced().await {}
        }
        for cluster in [&a.cluster, &b.cluster, &c.cluster, &backend] {
            let room = cluster.group_len("room").await;
            assert_eq!(room.total, 3, "{room:?}");
            assert!(room.is_complete());
            assert_eq!(cluster.group_len("hall").await.total, 1);
            assert_eq!(cluster.group_len("attic").await.total, 0);
            assert_eq!(cluster.user_len("one").await.total, 3);
            assert_eq!(cluster.user_len("two").await.total, 1);
            let counts = cluster.counts().await;
            let (total, nodes) = (counts.total, counts.nodes.len());
            // A user and a group on two nodes count twice.
            assert_eq!((total.connections, total.users, total.groups), (4, 3, 3));
            assert_eq!(nodes, 3);
            let first = cluster.groups(None, 1).await;
            assert_eq!((names(&first), first.more), (vec!["hall"], true));
            let rest = cluster.groups(Some("hall"), 10).await;
            assert_eq!((names(&rest), rest.more), (vec!["room", "room"], false));
            let mut of: Vec<_> = rest
                .names
                .iter()
                .map(|(_, node)| node.as_deref().unwrap())
                .collect();
            of.sort_unstable();
            let mut expected = [a.peer_address(), b.peer_address()];
            expected.sort_unstable();
            assert_eq!(of, expected);
        }
        // Nodes without members are not asked.
        assert_eq!(backend.group_len("room").await.nodes.len(), 2);
        let hub = a.node.hub();
        let mut groups = hub.groups();
        groups.sort_unstable();
        assert_eq!(
            groups.iter().map(|name| &**name).collect::<Vec<_>>(),
            ["hall", "room"]
        );
        assert_eq!(
            (
                hub.group_len("room"),
                hub.user_len("one"),
                hub.user_len("two")
            ),
            (2, 2, 0)
        );
        let counts = hub.counts();
        assert_eq!((counts.connections, counts.users, counts.groups), (2, 1, 2));
        drop(clients);
        eventually(|| hub.group_len("room") == 0 && hub.groups().is_empty()).await;
    });
}

#[test]
fn a_node_that_is_not_counted_is_named_with_the_reason() {
    run(async {
        let registry = memory_registry();
        let (a, proxy) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        let b = TestNode::start(&registry).await;
        a.wait_for_links(1).await;
        b.wait_for_links(1).await;
        let _ann = a.client("id=ann&user=ann&groups=room").await;
        while !a.cluster.synced().await {}
        assert_eq!(b.cluster.group_len("room").await.total, 1);
        proxy.set(Mode::Refuse);
        proxy.cut();
        eventually(|| !b.cluster.peers()[0].up).await;
        let unreachable = [(a.peer_address(), AskError::Unreachable)];
        let counts = b.cluster.counts().await;
        let missed: Vec<_> = counts
            .missed()
            .map(|(node, why)| (node.to_owned(), why.clone()))
            .collect();
        assert_eq!(missed, unreachable);
        assert_eq!(counts.nodes.len(), 2);
        // What it has is not known without its link.
        let room = b.cluster.group_len("room").await;
        assert!(!room.is_complete() && room.total == 0);
        for listed in [
            b.cluster.groups(None, 10).await,
            b.cluster.members("room", None, 10).await,
        ] {
            let missed: Vec<_> = listed
                .missed
                .iter()
                .map(|(node, why)| (node.to_string(), why.clone()))
                .collect();
            assert_eq!(missed, unreachable);
        }
    });
}

#[test]
fn a_node_of_go_websocket_is_named_as_not_counted() {
    run(async {
        let registry = memory_registry();
        let ours = TestNode::start(&registry).await;
        let go = LegacyNode::start(&registry).await;
        go.connect("gil").await;
        deliver(&ours.cluster, "gil", "known").await;
        let is_missed = async || {
            let counts = ours.cluster.counts().await;
            counts
                .missed()
                .any(|(node, why)| node == go.address() && *why == AskError::Unsupported)
        };
        // It is a peer once its entries were found.
        while !is_missed().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(ours.cluster.group_len("room").await.is_complete());
    });
}
