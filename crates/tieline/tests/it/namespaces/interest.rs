//! A node is asked about a namespace only if it has clients there.

use tieline::{Cluster, Summary};

use crate::kit::{TestNode, eventually, memory_registry, run};

/// The nodes that a message was sent to, beside this one.
fn asked(summary: &Summary, own: &TestNode) -> Vec<String> {
    let nodes = summary.nodes.iter().filter_map(|part| part.node.as_deref());
    let others = nodes.filter(|node| *node != own.peer_address());
    others.map(str::to_owned).collect()
}

/// Waits until a broadcast is sent to no other node.
async fn until_alone(cluster: &Cluster, own: &TestNode) {
    while !asked(&cluster.broadcast("to nobody").await, own).is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[test]
fn a_broadcast_in_a_namespace_is_sent_to_the_nodes_that_have_its_clients() {
    run(async {
        let registry = memory_registry();
        let [a, b, c] = TestNode::start_linked(&registry).await;
        let chat = a.cluster.namespace("chat").unwrap();
        until_alone(&chat, &a).await;
        // In the default namespace every node is asked.
        let _game = c.client("ns=game&id=cas&quiet").await;
        let all = a.cluster.broadcast("to everyone").await;
        assert_eq!(asked(&all, &a).len(), 2);
        // From the first client on.
        let mut first = b.client("ns=chat&id=ada&quiet").await;
        while !b.cluster.synced().await {}
        let mut summary = chat.broadcast("hello").await;
        while !summary.is_complete() {
            summary = chat.broadcast("hello").await;
        }
        assert_eq!(summary.reached.delivered, 1, "{summary:?}");
        assert_eq!(asked(&summary, &a), [b.peer_address()]);
        assert_eq!(first.text().await, "hello");
        let counts = chat.counts().await;
        let nodes: Vec<_> = counts
            .nodes
            .iter()
            .filter_map(|n| n.node.as_deref())
            .collect();
        let mut expected = [a.peer_address(), b.peer_address()];
        expected.sort_unstable();
        assert_eq!(nodes, expected);
        // To the last.
        let second = b.client("ns=chat&id=bob&quiet").await;
        first.close(1000).await;
        eventually(|| !b.node.hub().namespace("chat").unwrap().online("ada")).await;
        assert_eq!(
            asked(&chat.broadcast("hello").await, &a),
            [b.peer_address()]
        );
        second.close(1000).await;
        until_alone(&chat, &a).await;
    });
}

#[test]
fn users_and_groups_of_a_namespace_interest_nobody_in_another() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let _ada = b.client("ns=chat&id=ada&user=u&groups=g&quiet").await;
        while !b.cluster.synced().await {}
        let nobody = |summary: &Summary| asked(summary, &a).is_empty();
        for place in ["", "game"] {
            let cluster = a.cluster.namespace(place).unwrap();
            // The snapshot of the other node may be on its way.
            while !nobody(&cluster.emit_user("u", "no").await) {}
            while !nobody(&cluster.emit_group("g", "no").await) {}
            assert_eq!(cluster.group_len("g").await.nodes.len(), 1);
        }
        let chat = a.cluster.namespace("chat").unwrap();
        assert!(!nobody(&chat.emit_user("u", "yes").await));
        assert!(!nobody(&chat.emit_group("g", "yes").await));
    });
}
