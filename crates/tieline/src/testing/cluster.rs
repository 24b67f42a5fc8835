//! Nodes of one cluster in one process.
//!
//! Owns the wait until they have found each other. Must not know clients.

use std::{fmt, panic::Location, sync::Arc, time::Duration};

use tieline_registry::MemoryRegistry;
use tokio::time::sleep;

use super::wait::{Place, fail, within};
use crate::{
    cluster::{Cluster, ClusterConfig},
    config::Config,
    handler::Handler,
    hub::Hub,
    node::Node,
};

/// How long nodes may take to find each other, which on an idle machine is some ten milliseconds.
const DEADLINE: Duration = Duration::from_secs(20);

/// How long it takes until the links are looked at again.
const PAUSE: Duration = Duration::from_millis(2);

/// Nodes of one cluster in one process, each linked to each other, with a registry in memory: to test what an
/// application does across nodes.
///
/// ```
/// use tieline::{
///     Accept, ClientId, Cluster, Connection, Handler, Message,
///     testing::{TestClient, TestCluster},
/// };
///
/// /// Sends what it gets to the client called `grace`, wherever it is.
/// struct ToGrace(Cluster);
///
/// impl Handler for ToGrace {
///     type State = ();
///
///     async fn on_message(&self, _: &Connection, _: &mut (), message: Message) {
///         self.0.emit("grace", message);
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), tieline::NameError> {
/// let cluster = TestCluster::start(2, ToGrace).await;
/// let anybody = cluster.node(0).service(|_| async { Ok(Accept::new(())) });
/// let grace = ClientId::new("grace")?;
/// let grace = cluster.node(1).service(move |_| {
///     let accept = Accept::new(()).id(grace.clone());
///     async { Ok(accept) }
/// });
///
/// let mut grace = TestClient::connect(&grace, "/").await;
/// let ada = TestClient::connect(&anybody, "/").await;
/// ada.send("hello").await;
/// grace.expect_text("hello").await;
/// # Ok(())
/// # }
/// ```
///
/// The links are real ones, over TCP on loopback, each node on a free port. So paused time does not suit them:
/// it jumps whenever all tasks wait for a socket, and every deadline passes at once. Use the clock as it is, and
/// paused time for tests of one node. All nodes share the runtime of the test; the default configuration applies
/// unless they are made [`with_hubs`](Self::with_hubs).
pub struct TestCluster<H: Handler> {
    nodes: Vec<Node<H>>,
}

impl<H: Handler> TestCluster<H> {
    /// Starts this many nodes, and waits until each has a link to each other. `handler` makes the handler of a
    /// node, which gets the cluster as that node sees it.
    ///
    /// # Panics
    /// If they do not find each other within 20 s, or no port is free.
    #[track_caller]
    pub fn start(nodes: usize, handler: impl FnMut(Cluster) -> H) -> impl Future<Output = Self> {
        let place = Location::caller();
        let hubs = (0..nodes).map(move |_| match Hub::new(Config::default()) {
            Ok(hub) => hub,
            Err(error) => fail(place, error),
        });
        Self::start_at(place, hubs, handler)
    }

    /// As [`start`](Self::start), with a node for each of these hubs, which may differ in their configurations
    /// and have dialects and filters.
    ///
    /// # Panics
    /// If they do not find each other within 20 s, no port is free, or a hub is in use.
    #[track_caller]
    pub fn with_hubs(
        hubs: impl IntoIterator<Item = Hub>,
        handler: impl FnMut(Cluster) -> H,
    ) -> impl Future<Output = Self> {
        Self::start_at(Location::caller(), hubs, handler)
    }

    async fn start_at(
        place: Place,
        hubs: impl IntoIterator<Item = Hub>,
        mut handler: impl FnMut(Cluster) -> H,
    ) -> Self {
        let registry = Arc::new(MemoryRegistry::new());
        let mut nodes = Vec::new();
        for hub in hubs {
            match Cluster::start(hub, registry.clone(), ClusterConfig::default()).await {
                Ok(cluster) => nodes.push(Node::in_cluster(cluster.clone(), handler(cluster))),
                Err(error) => fail(place, format_args!("cannot start a node: {error}")),
            }
        }
        let cluster = Self { nodes };
        let linked = async {
            while !cluster.is_linked() {
                sleep(PAUSE).await;
            }
        };
        let missing = "the nodes did not find each other (is the time paused?)";
        within(DEADLINE, place, missing, linked).await;
        cluster
    }

    fn is_linked(&self) -> bool {
        let others = self.nodes.len().saturating_sub(1);
        let up = |cluster: &Cluster| cluster.peers().iter().filter(|peer| peer.up).count();
        self.clusters().all(|cluster| up(cluster) == others)
    }

    fn clusters(&self) -> impl Iterator<Item = &Cluster> {
        self.nodes.iter().filter_map(Node::cluster)
    }

    /// A node, counted from zero. [`Node::drain`] ends one in order.
    ///
    /// # Panics
    /// If there are not as many.
    #[track_caller]
    pub fn node(&self, index: usize) -> &Node<H> {
        &self.nodes[index]
    }

    /// Waits until all nodes know which users and groups have a connection on each: from then on a message to
    /// a group reaches those of its members who had joined before the call. Messages to single clients need no
    /// wait.
    ///
    /// # Panics
    /// If they do not know it within 20 s.
    #[track_caller]
    pub fn synced(&self) -> impl Future<Output = ()> {
        let place = Location::caller();
        async move {
            for cluster in self.clusters() {
                let synced = async { while !cluster.synced().await {} };
                within(DEADLINE, place, "a node does not answer", synced).await;
            }
        }
    }
}

impl<H: Handler> fmt::Debug for TestCluster<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCluster")
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}
