//! Nodes of one cluster in one process.

use std::time::Duration;

use tieline::{
    Accept, ClientId, Cluster, Config, Connection, Delivery, Handler, HttpService, Hub, Message,
    Node, OnlineStatus, UpgradeRequest,
    testing::{TestClient, TestCluster, TestRequest, eventually},
};

/// Sends what it gets to a room that spans the nodes.
struct Rooms(Cluster);

impl Handler for Rooms {
    type State = ();

    async fn on_message(&self, _: &Connection, (): &mut (), message: Message) {
        self.0.emit_group("room", message);
    }
}

fn named(node: &Node<Rooms>) -> impl HttpService {
    node.service(|request: UpgradeRequest| async move {
        let id = ClientId::new(request.query("id").unwrap()).unwrap();
        Ok(Accept::new(()).id(id).group("room"))
    })
}

/// A client that a busy machine may keep waiting: the time is the real one.
async fn client(node: &Node<Rooms>, id: &str) -> TestClient {
    let request = TestRequest::new(format!("/?id={id}")).deadline(Duration::from_secs(30));
    request.connect(&named(node)).await
}

#[tokio::test]
async fn two_nodes_exchange_messages() {
    let cluster = TestCluster::start(2, Rooms).await;
    let mut ada = client(cluster.node(0), "ada").await;
    let mut grace = client(cluster.node(1), "grace").await;
    cluster.synced().await;
    for n in 0..10 {
        ada.send(n.to_string()).await;
        ada.expect_text(n.to_string()).await;
        grace.expect_text(n.to_string()).await;
    }
    let first = cluster.node(0).cluster().unwrap();
    assert_eq!(first.emit("grace", "to you").await, Delivery::Delivered);
    grace.expect_text("to you").await;
    grace.close().await;
    eventually(async || first.online(["grace"]).await == [OnlineStatus::Offline]).await;
    ada.close().await;
}

#[tokio::test]
async fn nodes_have_the_configuration_of_their_hubs() {
    let hub = |connections| {
        let config = Config {
            max_connections: Some(connections),
            ..Config::default()
        };
        Hub::new(config).unwrap()
    };
    let cluster = TestCluster::with_hubs([hub(1), hub(2), hub(3)], Rooms).await;
    for (index, connections) in [(0, Some(1)), (1, Some(2)), (2, Some(3))] {
        let config = cluster.node(index).hub().config();
        assert_eq!(config.max_connections, connections);
        assert_eq!(cluster.node(index).cluster().unwrap().peers().len(), 2);
    }
}

#[tokio::test]
async fn a_drained_node_closes_its_clients_and_leaves() {
    let cluster = TestCluster::start(2, Rooms).await;
    let mut ada = client(cluster.node(1), "ada").await;
    let node = cluster.node(1).clone();
    let drained = tokio::spawn(async move { node.drain().await });
    assert_eq!(ada.expect_close().await.code.as_u16(), 1012);
    drained.await.unwrap();
    let left = cluster.node(0).cluster().unwrap();
    eventually(async || left.peers().iter().all(|peer| !peer.up)).await;
}
