//! Nodes of one cluster, each as a process would have it: hub, port for clients, port for peers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tieline::{
    Cluster, ClusterConfig, Config, Connection, Hub, Node,
    registry::{MemoryRegistry, Registry},
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{Client, Probe, Raw, listen};

/// A node that serves clients.
pub(crate) struct Member {
    pub(crate) node: Node<Probe>,
    pub(crate) cluster: Cluster,
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<tieline::Drained>,
}

/// Settings by which tests do not wait long.
pub(crate) fn quick() -> ClusterConfig {
    ClusterConfig {
        lease: Duration::from_secs(2),
        audit_interval: Duration::from_secs(2),
        ..ClusterConfig::default()
    }
}

pub(crate) fn memory() -> Arc<dyn Registry> {
    Arc::new(MemoryRegistry::new())
}

impl Member {
    pub(crate) async fn start(registry: &Arc<dyn Registry>) -> Self {
        Self::start_with(registry, Config::default(), quick()).await
    }

    pub(crate) async fn start_with(
        registry: &Arc<dyn Registry>,
        config: Config,
        cluster: ClusterConfig,
    ) -> Self {
        let hub = Hub::new(config).unwrap();
        let cluster = Cluster::start(hub.clone(), Arc::clone(registry), cluster)
            .await
            .unwrap();
        let probe = Probe::new();
        probe.hub.set(hub).unwrap();
        let node = Node::in_cluster(cluster.clone(), probe.clone());
        let (listener, address) = listen().await;
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn({
            let node = node.clone();
            async move {
                let authorize = move |request| probe.clone().authorize(request);
                let stopped = async { drop(stopped.await) };
                node.serve(listener, authorize, stopped).await
            }
        });
        Self {
            node,
            cluster,
            address,
            stop,
            served,
        }
    }

    /// Several nodes whose links are up.
    pub(crate) async fn several<const N: usize>(registry: &Arc<dyn Registry>) -> [Self; N] {
        let mut members = Vec::new();
        for _ in 0..N {
            members.push(Self::start(registry).await);
        }
        for member in &members {
            member.linked(N - 1).await;
        }
        members
            .try_into()
            .unwrap_or_else(|_| unreachable!("there are N"))
    }

    /// Waits until links to so many peers are up.
    pub(crate) async fn linked(&self, peers: usize) {
        let up = || self.cluster.peers().iter().filter(|peer| peer.up).count();
        super::eventually(|| up() == peers).await;
    }

    pub(crate) async fn client(&self, query: &str) -> Client {
        Client::connect(self.address, query).await
    }

    pub(crate) async fn raw(&self, query: &str) -> Raw {
        let (raw, answer) = Raw::open(self.address, &format!("/?{query}"), "").await;
        assert_eq!(answer.status, 101, "{answer:?}");
        raw
    }

    pub(crate) fn connection(&self, id: &str) -> Connection {
        self.node.hub().connection(id).unwrap()
    }

    /// Ends it in order.
    pub(crate) async fn stop(self) -> tieline::Drained {
        self.stop.send(()).unwrap();
        self.served.await.unwrap()
    }
}
