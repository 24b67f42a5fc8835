//! The public face of the cluster.
//!
//! Owns nothing but handles: it turns calls into operations, and answers from the hub where the client
//! is here. Must not decide where a message goes.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use tieline_registry::{Registry, id};
use tieline_websocket::CloseFrame;
use tokio::{sync::oneshot, time::Instant};
use uuid::Uuid;

use super::{
    client_op::LocalOutcome,
    config::{ClusterConfig, ClusterError},
    directory::NodeRegistrar,
    except::ClusterExcept,
    lifecycle::{self, NodeRuntime},
    outcome::{OpResult, ResultSender},
    pending::PeerStatus,
    router::{MessageRouter, SYNC_TIMEOUT},
    summary::{Membership, Summary},
};
use crate::{
    deliveries::Deliveries,
    delivery::Delivery,
    hub::{Cast, ClientOp, ConnectionInner, Content, Hub, Scope},
    receipt::Receipt,
    registrar::{ClaimDecision, Health, LocalInstant},
};

/// Many nodes as one. Cheap to clone; all clones are the same node.
///
/// A node that holds connections calls [`Cluster::start`] with its [`Hub`]; a process without
/// connections, a backend, calls [`Cluster::connect`]. As with a hub, `emit` and the other sending
/// methods enqueue when they are called and return a [`Receipt`]. It is decided whatever happens to
/// nodes, links and registry: within one second, and within two if the message had to wait before it was
/// sent.
///
/// What one task sends to one client takes effect in the order of the calls. Outside of tasks, a thread
/// counts as one.
///
/// When the last clone is dropped, the node stops at once, and its entries stay until its lease runs
/// out; [`Node::drain`](crate::Node::drain) and [`Cluster::leave`] end it in order.
///
/// ```
/// use std::sync::Arc;
/// use tieline::{Cluster, ClusterConfig, Config, Delivery, Hub, registry::MemoryRegistry};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Arc::new(MemoryRegistry::new());
/// let hub = Hub::new(Config::default())?;
/// let node = Cluster::start(hub, registry.clone(), ClusterConfig::default()).await?;
/// let backend = Cluster::connect(registry, ClusterConfig::default()).await?;
///
/// assert_eq!(backend.emit("alice", "hello").await, Delivery::Offline);
/// node.leave().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cluster {
    pub(super) router: Arc<MessageRouter>,
    runtime: Arc<NodeRuntime>,
}

/// Start and end.
impl Cluster {
    /// Makes a hub a node of a cluster: listens for peers, joins the registry under the node's address,
    /// and opens links to the other nodes. Call it before the hub's first connection.
    ///
    /// If another process holds the address, the node starts, takes no connections, and waits until the
    /// address is free.
    ///
    /// # Errors
    /// A setting is out of bounds, the peer port cannot be opened, the registry cannot be reached, or
    /// the hub is in use.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(
        hub: Hub,
        registry: Arc<dyn Registry>,
        config: ClusterConfig,
    ) -> Result<Self, ClusterError> {
        Ok(Self::new(lifecycle::start(hub, registry, &config).await?))
    }

    /// Connects a backend: a process without connections that reaches the clients of all nodes. It needs
    /// no port.
    ///
    /// # Errors
    /// A setting is out of bounds, or the registry cannot be reached.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn connect(
        registry: Arc<dyn Registry>,
        config: ClusterConfig,
    ) -> Result<Self, ClusterError> {
        Ok(Self::new(lifecycle::connect(registry, &config).await?))
    }

    /// One node by itself, with the same calls: no registry, no port, no peers. Its calls cost what those of
    /// its [`Hub`] do.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn single_node(hub: Hub) -> Self {
        Self::new(lifecycle::single_node(hub))
    }

    fn new((router, runtime): (Arc<MessageRouter>, NodeRuntime)) -> Self {
        let runtime = Arc::new(runtime);
        Self { router, runtime }
    }

    /// Ends a node whose connections are gone, or a backend, in order: leaves the registry, then ends
    /// the links. Each of these steps takes two seconds at most.
    /// [`Node::drain`](crate::Node::drain) does it by itself.
    pub async fn leave(&self) {
        self.runtime.leave(&self.router).await;
    }

    /// Whether new connections can be registered; `Err` says why not, for people.
    ///
    /// # Errors
    /// The registry does not respond, or another process holds this node's address.
    pub fn readiness(&self) -> Result<(), String> {
        match self.health() {
            None | Some(Health::Up) => Ok(()),
            Some(Health::Down) => Err("the registry does not respond".into()),
            Some(Health::Conflict(holder)) => Err(format!(
                "process {holder} holds this node's address {}",
                self.address().unwrap_or_default()
            )),
        }
    }

    fn health(&self) -> Option<Health> {
        self.router.directory.registrar().map(NodeRegistrar::health)
    }
}

/// Reaching clients.
impl Cluster {
    /// Sends to a client by its id.
    pub fn emit(&self, id: &str, content: impl Into<Content>) -> Receipt {
        self.emit_cast(id, content.into().into_unicast())
    }

    pub(super) fn emit_cast(&self, id: &str, cast: Cast) -> Receipt {
        if self.router.peers.is_single_node() {
            return self.router.hub.emit_cast(id, cast);
        }
        if let Some(conn) = self.router.local_connection(id)
            && !self.router.must_wait(id)
        {
            let mut receipt = self.router.hub.emit_to(&conn, cast.clone());
            match receipt.try_outcome() {
                // It left this moment: it may be elsewhere by now.
                Some(Delivery::Offline) => {}
                Some(delivery) => return Receipt::decided(delivery),
                None => return receipt,
            }
        }
        self.send(id, ClientOp::Emit(cast))
    }

    /// Sends to many clients by their ids, as [`emit`](Self::emit) to each of them: with the same outcomes, in the
    /// same order among the calls of this task. An id that is given twice gets the message twice.
    ///
    /// Costs one request for each node that has some of the clients, up to 1,024 of them; the message is encoded and
    /// sent once for each. About 300 bytes for each id are held until it has its outcome. An id whose route is not
    /// cached costs a request to the registry and one to its node, and so does each id for a node that runs an older
    /// version.
    ///
    /// ```
    /// use tieline::Cluster;
    ///
    /// async fn invite(cluster: &Cluster, players: &[String]) {
    ///     let deliveries = cluster.emit_many(players, "the game begins").await;
    ///     for (player, why) in &deliveries.missed {
    ///         println!("{player} was not invited: {why}");
    ///     }
    /// }
    /// ```
    pub fn emit_many<I>(&self, ids: I, content: impl Into<Content>) -> Receipt<Deliveries>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        if self.router.peers.is_single_node() {
            return self.router.hub.emit_many(ids, content);
        }
        // First, so that the iterator does not run between steps that belong together.
        let ids = ids.into_iter().map(|id| Arc::from(id.as_ref()));
        let ids: Vec<Arc<str>> = ids.collect();
        let cast = content.into().into_unicast();
        self.router.emit_many(&ids, &cast)
    }

    /// Sends to every connection of a user. Costs one request to each other node that may have
    /// one, however many connections it has.
    pub fn emit_user(&self, user: &str, content: impl Into<Content>) -> Receipt<Summary> {
        self.multicast(Scope::User(user), content.into())
    }

    /// Sends to every connection in a group. Costs one request to each other node that may have
    /// one, however many connections it has.
    pub fn emit_group(&self, group: &str, content: impl Into<Content>) -> Receipt<Summary> {
        self.multicast(Scope::Group(group), content.into())
    }

    /// Sends to every connection of every node, this one included. Costs one request to each other node.
    pub fn broadcast(&self, content: impl Into<Content>) -> Receipt<Summary> {
        self.multicast(Scope::Everyone, content.into())
    }

    fn multicast(&self, scope: Scope<'_>, content: Content) -> Receipt<Summary> {
        let cast = content.into_multicast(scope, None);
        self.router.send_multicast(scope, None, cast)
    }

    /// The same cluster, for messages to many, with those clients only whom a filter admits: see
    /// [`Hub::matching`]. The filter travels with the message, and each node reads it; a node that cannot
    /// sends to nobody, and [`Reached::filter_refused`](crate::Reached::filter_refused) says so. A node of
    /// go-websocket or an older version sends to nobody either, and is missed as `Unknown`.
    pub fn matching(&self, filter: impl Into<Bytes>) -> ClusterExcept<'_> {
        ClusterExcept::new(&self.router, Arc::default()).matching(filter)
    }

    /// The same cluster without some client ids, for messages to many.
    pub fn except<I>(&self, ids: I) -> ClusterExcept<'_>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let ids = ids.into_iter().map(|id| Arc::from(id.as_ref())).collect();
        ClusterExcept::new(&self.router, ids)
    }

    /// Begins the close handshake of a client; [`Delivery::Delivered`] says that it has begun. What was
    /// sent to the client before still leaves.
    pub fn close(&self, id: &str, frame: CloseFrame) -> Receipt {
        let close = ClientOp::Close(frame);
        match self.router.local_connection(id) {
            Some(conn) if !self.router.must_wait(id) => {
                close.apply(&self.router.hub, &conn);
                Receipt::decided(Delivery::Delivered)
            }
            _ => self.send(id, close),
        }
    }

    /// Adds a client to a group. Returns once the other nodes know, so that messages that they send to
    /// the group from then on reach the client; it waits one second at most for a node that does not
    /// answer.
    pub async fn join_group(&self, id: &str, group: &str) -> Membership {
        self.change(id, ClientOp::Join(group.into())).await
    }

    /// Removes a client from a group.
    pub async fn leave_group(&self, id: &str, group: &str) -> Membership {
        self.change(id, ClientOp::Leave(group.into())).await
    }

    /// Waits until the other nodes know which users and groups have a connection here, one second at
    /// most; false if some do not. Until they know, which takes the time of one message between nodes,
    /// a message that another node sends to a group may miss a connection that has just joined it by
    /// [`Connection::join`](crate::Connection::join).
    pub async fn synced(&self) -> bool {
        self.router.interest.synced(SYNC_TIMEOUT).await
    }

    fn send(&self, id: &str, op: ClientOp) -> Receipt {
        if self.router.peers.is_single_node() || id::check(id).is_err() {
            return Receipt::decided(Delivery::Offline);
        }
        let (sender, receipt) = Receipt::channel();
        self.router.send(id, op, ResultSender::Delivery(sender));
        receipt
    }

    async fn change(&self, id: &str, op: ClientOp) -> Membership {
        let is_single_node = self.router.peers.is_single_node();
        if id::check(id).is_err() {
            return Membership::Offline;
        }
        if let Some(conn) = self.router.local_connection(id)
            && !self.router.must_wait(id)
            && let LocalOutcome::Decided(code) = op.apply(&self.router.hub, &conn)
        {
            if !is_single_node {
                self.synced().await;
            }
            return OpResult::Code(code).into();
        }
        if is_single_node {
            return Membership::Offline;
        }
        let (sender, outcome) = oneshot::channel();
        self.router.send(id, op, ResultSender::Membership(sender));
        outcome.await.unwrap_or(Membership::Unknown)
    }
}

/// What it is made of.
impl Cluster {
    /// The connections of this node; empty for a backend.
    pub fn hub(&self) -> &Hub {
        &self.router.hub
    }

    /// The registry.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        self.router.directory.registry()
    }

    /// Where peers reach this node; `None` for a backend.
    pub fn address(&self) -> Option<&str> {
        self.router.directory.address().map(|address| &**address)
    }

    /// The process, as the registry knows it; each start makes a new one.
    pub fn process(&self) -> Uuid {
        self.router.directory.process()
    }

    /// How many entries this node believes to have in the registry.
    pub fn entries(&self) -> u64 {
        self.router
            .directory
            .registrar()
            .map_or(0, NodeRegistrar::entries)
    }

    /// The other nodes, sorted by address.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let all = self.router.peers.all();
        let peers = all.values().filter(|peer| !peer.link.is_alias());
        let mut peers: Vec<_> = peers.map(|peer| peer.status()).collect();
        peers.sort_unstable_by(|a, b| a.address.cmp(&b.address));
        peers
    }
}

/// For the node that serves the hub.
impl Cluster {
    /// Whether another process holds this node's address, so that it takes no connections.
    pub(crate) fn is_in_conflict(&self) -> bool {
        matches!(self.health(), Some(Health::Conflict(_)))
    }

    /// Whether the registry answers.
    pub(crate) fn is_registered(&self) -> bool {
        self.readiness().is_ok()
    }

    /// Whether the ids of this node's connections are registered.
    pub(crate) fn has_registrar(&self) -> bool {
        self.router.directory.registrar().is_some()
    }

    /// Claims the id of a connection that waits for its admission.
    pub(crate) async fn claim(
        &self,
        conn: &Arc<ConnectionInner>,
        arrival: Instant,
        exclusive: bool,
    ) -> ClaimDecision {
        match self.router.directory.registrar() {
            Some(registrar) => {
                registrar
                    .connect(conn, LocalInstant::of(arrival), exclusive)
                    .await
            }
            None => ClaimDecision::Undecided,
        }
    }

    /// Reports by the health service of the peer port that this node drains.
    pub(crate) async fn is_ending(&self) {
        self.runtime.report_draining().await;
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("address", &self.address())
            .field("process", &self.process())
            .field("peers", &self.peers())
            .finish_non_exhaustive()
    }
}
