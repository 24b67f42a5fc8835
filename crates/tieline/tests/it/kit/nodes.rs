//! Nodes of one cluster in one process, each with a hub, a client port and a peer port.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tieline::{
    Cluster, ClusterConfig, Config, Dialects, Hub, Node,
    registry::{Cursor, MemoryRegistry, Registry},
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{Client, Probe, Proxy, Raw, Reader, dialects::filter, listen};

/// A node that serves clients.
pub(crate) struct TestNode {
    pub(crate) node: Node<Probe>,
    pub(crate) cluster: Cluster,
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<tieline::Drained>,
}

/// Short leases and audit intervals.
pub(crate) fn test_config() -> ClusterConfig {
    ClusterConfig {
        lease: Duration::from_secs(2),
        audit_interval: Duration::from_secs(2),
        ..ClusterConfig::default()
    }
}

pub(crate) fn memory_registry() -> Arc<dyn Registry> {
    Arc::new(MemoryRegistry::new())
}

/// All entries, as any reader of the registry sees them: id → address.
pub(crate) async fn entries(registry: &dyn Registry) -> BTreeMap<String, String> {
    let (mut all, mut next) = (BTreeMap::new(), Some(Cursor::default()));
    while let Some(cursor) = next {
        let page = registry.scan(cursor).await.unwrap();
        let items = page.items.into_iter();
        all.extend(items.map(|(id, address)| (id.to_string(), address.to_string())));
        next = page.next;
    }
    all
}

/// A free address on loopback, for nodes whose address must be known before they start.
pub(crate) fn free_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, tieline_test_servers::free_port()))
}

impl TestNode {
    pub(crate) async fn start(registry: &Arc<dyn Registry>) -> Self {
        Self::start_with(registry, Config::default(), test_config()).await
    }

    pub(crate) async fn start_with(
        registry: &Arc<dyn Registry>,
        config: Config,
        cluster: ClusterConfig,
    ) -> Self {
        Self::join(registry, Hub::new(config).unwrap(), cluster).await
    }

    /// In these dialects, with filters.
    pub(crate) async fn in_dialects(
        registry: &Arc<dyn Registry>,
        config: Config,
        cluster: ClusterConfig,
        dialects: Dialects,
    ) -> Self {
        let hub = Hub::with_filters(config, dialects, filter).unwrap();
        Self::join(registry, hub, cluster).await
    }

    async fn join(registry: &Arc<dyn Registry>, hub: Hub, cluster: ClusterConfig) -> Self {
        let cluster = Cluster::start(hub.clone(), Arc::clone(registry), cluster)
            .await
            .unwrap();
        Self::serve(hub, cluster).await
    }

    /// A node by itself, without a registry.
    pub(crate) async fn single(config: Config) -> Self {
        let hub = Hub::new(config).unwrap();
        Self::serve(hub.clone(), Cluster::single_node(hub)).await
    }

    async fn serve(hub: Hub, cluster: Cluster) -> Self {
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

    /// A node whose peers reach it through a proxy.
    pub(crate) async fn behind_proxy(
        registry: &Arc<dyn Registry>,
        config: Config,
        cluster: ClusterConfig,
    ) -> (Self, Proxy) {
        let inside = free_port();
        let proxy = Proxy::start(inside).await;
        let cluster = ClusterConfig {
            listen: inside,
            advertise: Some(proxy.address().to_string()),
            ..cluster
        };
        (Self::start_with(registry, config, cluster).await, proxy)
    }

    /// Several nodes with a link between any two.
    pub(crate) async fn start_linked<const N: usize>(registry: &Arc<dyn Registry>) -> [Self; N] {
        let mut members = Vec::new();
        for _ in 0..N {
            members.push(Self::start(registry).await);
        }
        for member in &members {
            member.wait_for_links(N - 1).await;
        }
        members
            .try_into()
            .unwrap_or_else(|_| unreachable!("there are N"))
    }

    /// Waits until the links to this many peers are up.
    pub(crate) async fn wait_for_links(&self, peers: usize) {
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

    /// A client that reads all the time.
    pub(crate) async fn reader(&self, query: &str) -> Reader {
        Reader::new(self.raw(query).await)
    }

    /// Asks for an upgrade, which the node may refuse.
    pub(crate) async fn try_connect(&self, query: &str) -> (Raw, super::HttpResponse) {
        Raw::open(self.address, &format!("/?{query}"), "").await
    }

    /// The address at which peers reach it.
    pub(crate) fn peer_address(&self) -> String {
        self.cluster.address().unwrap().to_owned()
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.node.hub().connection(id).is_some()
    }

    /// Ends it as a crash does: nothing is released, no peer is notified.
    pub(crate) async fn crash(self) {
        self.served.abort();
        drop(self.served.await);
    }

    /// Ends it in order.
    pub(crate) async fn stop(self) -> tieline::Drained {
        self.stop.send(()).unwrap();
        self.served.await.unwrap()
    }
}
