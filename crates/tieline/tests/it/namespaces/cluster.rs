//! Clients of namespaces that come, move and go, in a cluster.

use std::time::Duration;

use tieline::{Cluster, Config, Delivery, OnlineStatus};

use super::PLACES;
use crate::kit::{
    LegacyNode, TestNode, deliver, eventually, grpc, memory_registry, run, test_config,
};

async fn until_online(cluster: &Cluster, id: &str, status: OnlineStatus) {
    while cluster.online([id]).await != [status] {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_client_that_moves_is_followed_in_its_namespace() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let mut clients = Vec::new();
        for place in PLACES {
            clients.push(a.client(&format!("ns={place}&id=ada&quiet")).await);
        }
        let chat = b.cluster.namespace("chat").unwrap();
        // By a route that is cached from then on.
        deliver(&chat, "ada", "on the first node").await;
        let mut moved = b.client("ns=chat&id=ada&quiet").await;
        let mut older = clients.remove(1);
        assert_eq!(older.text().await, "on the first node");
        assert_eq!(older.closed().await, Some(4409));
        for node in [&a, &b] {
            let chat = node.cluster.namespace("chat").unwrap();
            deliver(&chat, "ada", "on the second").await;
        }
        assert_eq!(moved.text().await, "on the second");
        assert_eq!(moved.text().await, "on the second");
        // The others were not displaced.
        for (place, client) in ["", "game"].iter().zip(&mut clients) {
            let cluster = b.cluster.namespace(place).unwrap();
            deliver(&cluster, "ada", "still here").await;
            assert_eq!(client.text().await, "still here");
        }
        moved.close(1000).await;
        until_online(
            &a.cluster.namespace("chat").unwrap(),
            "ada",
            OnlineStatus::Offline,
        )
        .await;
        until_online(&b.cluster, "ada", OnlineStatus::Online).await;
    });
}

#[test]
fn a_drained_node_releases_the_ids_of_all_namespaces() {
    run(async {
        let registry = memory_registry();
        let config = Config {
            drain_window: Duration::from_millis(20),
            ..Config::default()
        };
        let a = TestNode::start_with(&registry, config, test_config()).await;
        let b = TestNode::start(&registry).await;
        b.wait_for_links(1).await;
        let mut clients = Vec::new();
        for place in PLACES {
            clients.push(a.client(&format!("ns={place}&id=ada&quiet")).await);
            deliver(&b.cluster.namespace(place).unwrap(), "ada", "known").await;
        }
        let drained = tokio::spawn(a.stop());
        for mut client in clients {
            assert_eq!(client.text().await, "known");
            assert_eq!(client.closed().await, Some(1012));
        }
        assert_eq!(drained.await.unwrap().closed, 3);
        for place in PLACES {
            let cluster = b.cluster.namespace(place).unwrap();
            until_online(&cluster, "ada", OnlineStatus::Offline).await;
            assert_eq!(cluster.emit("ada", "gone").await, Delivery::Offline);
        }
    });
}

#[test]
fn a_node_of_go_websocket_sees_the_default_namespace_only() {
    run(async {
        let registry = memory_registry();
        let ours = TestNode::start(&registry).await;
        let go = LegacyNode::start(&registry).await;
        go.connect("gil").await;
        deliver(&ours.cluster, "gil", "known").await;
        let mut ada = ours.client("id=ada&quiet").await;
        let mut other = ours.client("ns=chat&id=ada&quiet").await;
        let chat = ours.cluster.namespace("chat").unwrap();
        // Its client is not in a namespace, and is sent nothing there.
        assert_eq!(chat.emit("gil", "no").await, Delivery::Offline);
        let all = chat.broadcast("in chat").await;
        assert_eq!((all.reached.delivered, all.nodes.len()), (1, 1));
        assert_eq!(chat.counts().await.nodes.len(), 1);
        assert!(chat.clients(None, 9).await.missed.is_empty());
        assert_eq!(other.text().await, "in chat");
        assert_eq!(go.texts("gil"), ["known"]);
        // What it sends.
        assert!(go.emit("ada", b"from go").await.unwrap());
        go.broadcast("to all").await;
        assert_eq!(ada.text().await, "from go");
        assert_eq!(ada.text().await, "to all");
        let channel = || grpc::channel(&ours.peer_address());
        for id in ["\0chat\0ada", "\0ada", "\0"] {
            let emit = grpc::EmitRequest {
                id: id.into(),
                data: b"no".to_vec(),
            };
            let sent = grpc::call(channel(), "/websocket.Websocket/Emit", emit, None).await;
            let sent: grpc::YesNo = sent.unwrap();
            assert!(!sent.yes, "{id:?}");
            let online = grpc::OnlineRequest { id: id.into() };
            let found = grpc::call(channel(), "/websocket.Websocket/Online", online, None).await;
            let found: grpc::YesNo = found.unwrap();
            assert!(!found.yes, "{id:?}");
        }
        deliver(&chat, "ada", "end").await;
        assert_eq!(other.text().await, "end");
        eventually(|| ours.cluster.peers().iter().any(|peer| peer.legacy)).await;
    });
}
