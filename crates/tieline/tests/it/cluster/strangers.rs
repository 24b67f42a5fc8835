//! Nodes that are not peers: of another cluster, or other than the registry says; and a node that meets itself.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tieline::{ClusterConfig, Config, Delivery, registry::Registry};

use crate::kit::{
    Store, TestNode, Trace, eventually, free_port, memory_registry, run, test_config,
};

/// Settings of a node at this address.
fn at(listen: SocketAddr) -> ClusterConfig {
    ClusterConfig {
        listen,
        // The registry names a node that has crashed for all of the test.
        lease: Duration::from_secs(15),
        ..test_config()
    }
}

/// A node whose port may still belong to one that has just crashed.
async fn start(registry: &Arc<dyn Registry>, config: ClusterConfig) -> TestNode {
    eventually(|| std::net::TcpListener::bind(config.listen).is_ok()).await;
    TestNode::start_with(registry, Config::default(), config).await
}

/// A broadcast of the first node reaches its own client, and nobody at the second one.
async fn assert_apart(ours: &TestNode, theirs: &TestNode) {
    let own = ours.reader("id=own").await;
    let other = theirs.reader("id=other").await;
    for round in 0..20 {
        let summary = ours.cluster.broadcast(format!("broadcast {round}")).await;
        assert_eq!(summary.reached.delivered, 1, "{summary:?}");
    }
    eventually(|| own.count() == 20).await;
    assert_eq!(
        theirs.cluster.emit("other", "last").await,
        Delivery::Delivered
    );
    eventually(|| other.count() > 0).await;
    assert_eq!(other.texts(), ["last"]);
    assert_eq!(theirs.cluster.peers(), [], "nobody is linked back");
    assert!(ours.cluster.peers().iter().all(|peer| !peer.up));
}

#[test]
fn an_address_that_another_cluster_took_over_is_not_believed() {
    run(async {
        let trace = Trace::start();
        let (ours, theirs) = (memory_registry(), memory_registry());
        let a = TestNode::start(&ours).await;
        let address = free_port();
        let b = start(&ours, at(address)).await;
        a.wait_for_links(1).await;
        b.crash().await;
        let stranger = start(&theirs, at(address)).await;
        // Both say why, and what to do.
        let reason = "give each its own prefix";
        trace
            .until(&["WARN", "refused on the peer port", reason])
            .await;
        trace.until(&["WARN", "link refused", reason]).await;
        assert_apart(&a, &stranger).await;
        // Several dials later.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(trace.count(&["refused on the peer port"]), 1);
        assert_eq!(trace.count(&["link refused"]), 1);
    });
}

#[test]
fn an_address_that_a_cluster_of_the_same_name_took_over_is_not_believed() {
    run(async {
        let trace = Trace::start();
        let ours: Arc<dyn Registry> = Store::named("ws");
        let theirs: Arc<dyn Registry> = Store::named("ws");
        assert_eq!(ours.cluster(), theirs.cluster());
        let a = TestNode::start(&ours).await;
        let address = free_port();
        let b = start(&ours, at(address)).await;
        a.wait_for_links(1).await;
        b.crash().await;
        let stranger = start(&theirs, at(address)).await;
        trace
            .until(&["another process answers at the peer's address"])
            .await;
        assert_apart(&a, &stranger).await;
    });
}

#[test]
fn an_entry_that_names_a_node_of_another_cluster_makes_it_no_peer() {
    run(async {
        for same_name in [false, true] {
            let registry = || -> Arc<dyn Registry> {
                if same_name {
                    Store::named("ws")
                } else {
                    memory_registry()
                }
            };
            let (ours, theirs) = (registry(), registry());
            let a = TestNode::start(&ours).await;
            let stranger = TestNode::start(&theirs).await;
            // As entries of a prefix that begins with this one's look.
            ours.set("theirs", &stranger.peer_address()).await.unwrap();
            let emitted = a.cluster.emit("theirs", "for another cluster").await;
            assert_ne!(emitted, Delivery::Delivered);
            if !same_name {
                eventually(|| a.cluster.peers().iter().all(|peer| !peer.up)).await;
            }
            assert_eq!(stranger.cluster.peers(), [], "nobody is linked back");
        }
    });
}

/// The same port under another name.
fn respelled(address: SocketAddr) -> ClusterConfig {
    ClusterConfig {
        advertise: Some(format!("localhost:{}", address.port())),
        ..at(address)
    }
}

#[test]
fn a_node_that_restarts_under_another_spelling_is_one_peer_and_none_of_its_own() {
    run(async {
        let trace = Trace::start();
        let registry = memory_registry();
        let a = TestNode::start(&registry).await;
        let address = free_port();
        let before = start(&registry, at(address)).await;
        a.wait_for_links(1).await;
        let _gone = before.reader("id=gone").await;
        eventually(|| before.cluster.entries() == 1).await;
        before.crash().await;
        let node = start(&registry, respelled(address)).await;
        node.wait_for_links(1).await;
        a.wait_for_links(1).await;
        trace
            .until(&["the peer is reached under another address"])
            .await;
        let one = |cluster: &tieline::Cluster| {
            let peers = cluster.peers();
            peers.len() == 1 && peers[0].up
        };
        eventually(|| one(&a.cluster) && one(&node.cluster)).await;
        let client = node.reader("id=client").await;
        for _ in 0..5 {
            for sender in [&a, &node] {
                let summary = sender.cluster.broadcast("once").await;
                assert_eq!(summary.reached.delivered, 1, "{summary:?}");
                assert_eq!(summary.missed().count(), 0, "{summary:?}");
            }
        }
        eventually(|| client.count() >= 10).await;
        assert_eq!(client.count(), 10, "each once");
        // Its process is gone, which nobody has to wait for a lease to know.
        for sender in [&a, &node] {
            assert_eq!(sender.cluster.emit("gone", "x").await, Delivery::Offline);
        }
    });
}

/// Starts a node in a registry that another cluster uses, and returns the names in the error.
#[cfg(all(feature = "redis", feature = "etcd"))]
async fn overlap_at_start(url: &str, prefixes: [&str; 2]) -> [String; 2] {
    use tieline::{Cluster, ClusterError, Hub, registry::connect};

    let [first, second] = prefixes.map(|prefix| async move { connect(url, prefix).await.unwrap() });
    let first = TestNode::start(&first.await).await;
    let second = second.await;
    let hub = Hub::new(Config::default()).unwrap();
    let node = Cluster::start(hub, Arc::clone(&second), test_config()).await;
    let backend = Cluster::connect(Arc::clone(&second), test_config()).await;
    let mut names = Vec::new();
    for refused in [node, backend] {
        match refused.expect_err("they share keys") {
            ClusterError::Overlap { cluster, other } => names.push([cluster, other]),
            error => panic!("{error}"),
        }
    }
    assert_eq!(names[0], names[1]);
    // The refused node has left, and another cluster beside the first starts.
    let apart = connect(url, "other").await.unwrap();
    let apart = TestNode::start(&apart).await;
    assert_eq!(apart.cluster.peers(), []);
    assert_eq!(first.cluster.peers(), []);
    first.stop().await;
    // With the first cluster gone, there is nothing to overlap with.
    let second = TestNode::start(&second).await;
    drop(second);
    names.remove(0)
}

#[cfg(all(feature = "redis", feature = "etcd"))]
#[test]
fn clusters_that_share_keys_of_redis_are_refused_at_start() {
    run(async {
        let redis = tieline_test_servers::redis::Redis::start().await;
        for prefixes in [["ws", "{ws}"], ["{app}", "app"]] {
            let names = overlap_at_start(&redis.url(), prefixes).await;
            assert_eq!(names, [prefixes[1], prefixes[0]]);
        }
    });
}

#[cfg(all(feature = "redis", feature = "etcd"))]
#[test]
fn clusters_that_share_keys_of_etcd_are_refused_at_start() {
    run(async {
        let etcd = tieline_test_servers::etcd::Etcd::start().await;
        // The keys of the last two are before and behind those that outlive the nodes of the first two.
        let pairs = [
            ["tieline", "tieline-staging"],
            ["/ws/b", "/ws/"],
            ["/town/f", "/town/"],
            ["/town/x", "/town/"],
        ];
        for prefixes in pairs {
            let names = overlap_at_start(&etcd.url(), prefixes).await;
            assert_eq!(names, [prefixes[1], prefixes[0]]);
        }
    });
}
