//! Whether another node takes the clients of one that drains.

use std::time::Duration;

use tieline::{
    Accept, CloseCode, CloseFrame, CloseReason, Cluster, Config, Drained, Farewell, Hub, Node,
};

use crate::kit::{
    Raw, TestNode, eventually, memory_registry, run, run_threads, serve, test_config,
};

fn quick() -> Config {
    Config {
        drain_window: Duration::ZERO,
        ..Config::default()
    }
}

/// A node whose clients are told at a drain whether another one takes them.
struct Telling {
    node: Node<()>,
    cluster: Cluster,
    client: Raw,
}

impl Telling {
    async fn start(registry: &std::sync::Arc<dyn tieline::registry::Registry>) -> Self {
        let hub = Hub::new(quick()).unwrap();
        let cluster = Cluster::start(hub, registry.clone(), test_config());
        let cluster = cluster.await.unwrap();
        let node = Node::in_cluster(cluster.clone(), ());
        let kept = cluster.clone();
        let address = serve(node.clone(), move |_| {
            let accept = Accept::new(()).data(kept.clone()).farewell(|closing| {
                if *closing.reason() != CloseReason::Drain {
                    return None;
                }
                let is_any = closing.data::<Cluster>()?.has_ready_peer();
                let code = CloseCode::new(if is_any { 4200 } else { 4100 })?;
                Some(Farewell::new(CloseFrame::new(code, "")))
            });
            std::future::ready(Ok(accept))
        })
        .await;
        let (client, answer) = Raw::open(address, "/", "").await;
        assert_eq!(answer.status, 101);
        Self {
            node,
            cluster,
            client,
        }
    }

    /// Drains; returns the code that the client was sent.
    async fn drain(&mut self) -> u16 {
        let (drained, code) = tokio::join!(self.node.drain(), async {
            let code = self.client.closed().await;
            self.client.send_close(code).await;
            code
        });
        assert!(matches!(
            drained,
            Drained {
                closed: 1,
                remaining: 0,
                ..
            }
        ));
        code
    }
}

#[test]
fn clients_are_told_whether_another_node_takes_them() {
    run_threads(2, async {
        let registry = memory_registry();
        let mut nodes = [
            Telling::start(&registry).await,
            Telling::start(&registry).await,
        ];
        eventually(|| nodes.iter().all(|node| node.cluster.has_ready_peer())).await;
        assert_eq!(nodes[0].drain().await, 4200);
        eventually(|| !nodes[1].cluster.has_ready_peer()).await;
        assert_eq!(nodes[1].drain().await, 4100);
    });
}

#[test]
fn nodes_that_drain_at_the_same_time_know_it_of_each_other() {
    run_threads(2, async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let mut last = b.raw("id=last&quiet").await;
        eventually(|| a.cluster.has_ready_peer() && b.cluster.has_ready_peer()).await;
        let drain = tokio::spawn({
            let node = b.node.clone();
            async move { node.drain().await }
        });
        assert_eq!(last.closed().await, 1012);
        // While it goes on, and the link is up.
        eventually(|| !a.cluster.has_ready_peer()).await;
        assert!(a.cluster.peers().iter().any(|peer| peer.up));
        assert!(b.cluster.has_ready_peer());
        last.send_close(1012).await;
        last.end().await;
        drain.await.unwrap();
    });
}

#[test]
fn a_node_says_when_it_is_not_ready() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        eventually(|| a.cluster.has_ready_peer()).await;
        b.node.set_ready(false);
        b.node.set_ready(false);
        eventually(|| !a.cluster.has_ready_peer()).await;
        // Those who come later learn of it, too.
        let c = TestNode::start(&registry).await;
        c.wait_for_links(2).await;
        eventually(|| a.cluster.has_ready_peer() && c.cluster.has_ready_peer()).await;
        a.node.set_ready(false);
        eventually(|| !c.cluster.has_ready_peer()).await;
        b.node.set_ready(true);
        eventually(|| c.cluster.has_ready_peer()).await;
        // Nobody gets there by what is announced.
        let reached = a.cluster.broadcast("hello").await;
        assert_eq!(reached.reached.delivered, 0);
    });
}

#[test]
fn a_node_by_itself_has_no_other() {
    run(async {
        let single = TestNode::single(Config::default()).await;
        assert!(!single.cluster.has_ready_peer());
        let only = TestNode::start(&memory_registry()).await;
        assert!(!only.cluster.has_ready_peer());
    });
}
