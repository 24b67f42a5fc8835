//! The public face of the cluster.
//!
//! Owns nothing but handles: it turns calls into operations, and answers from the hub where the client
//! is here. Must not decide where a message goes.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use tieline_registry::{NameError, Registry};
use tieline_websocket::CloseFrame;
use tokio::sync::oneshot;
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
    hub::{Cast, ClientOp, Content, Hub, Namespace, Scope, check_key},
    receipt::Receipt,
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
    pub(super) runtime: Arc<NodeRuntime>,
    /// The hub in the namespace of this handle.
    hub: Hub,
}

/// Start and end.
impl Cluster {
    /// Makes a hub a node of a cluster: listens for peers, joins the registry under the node's address,
    /// and opens links to the other nodes. Call it before the hub's first connection.
    ///
    /// If another process holds the address, the node starts, takes no connections, and waits until the
    /// address is free. The cluster that it returns is in the default [namespace](Self::namespace), whichever the
    /// handle of the hub is in.
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
        Self {
            hub: router.hub.clone(),
            router,
            runtime: Arc::new(runtime),
        }
    }

    /// The same node in a namespace, as [`Hub::namespace`]: each call of what this returns is about clients, users
    /// and groups of that namespace, on all nodes, and `broadcast`, `clients`, `users`, `groups` and `counts` are
    /// about its clients only. What belongs to the node is the same for every namespace:
    /// [`stats`](Self::stats), [`peers`](Self::peers), [`ask_node`](Self::ask_node), [`leave`](Self::leave).
    ///
    /// A broadcast in the default namespace is sent to every node; in another one, to those only that have clients
    /// of it. Nodes of go-websocket know the default namespace only, and so do nodes of versions before namespaces:
    /// they are asked for nobody in another one.
    ///
    /// ```
    /// use tieline::{Cluster, NameError};
    ///
    /// /// One cluster for many tenants, whose names are their own.
    /// fn publish(cluster: &Cluster, tenant: &str, group: &str, text: &str) -> Result<(), NameError> {
    ///     cluster.namespace(tenant)?.emit_group(group, text);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The name is longer than [`MAX_NAMESPACE`](crate::MAX_NAMESPACE) bytes, or contains a NUL.
    pub fn namespace(&self, name: &str) -> Result<Self, NameError> {
        let hub = self.hub.namespace(name)?;
        let (router, runtime) = (Arc::clone(&self.router), Arc::clone(&self.runtime));
        Ok(Self {
            router,
            runtime,
            hub,
        })
    }

    /// Ends a node whose connections are gone, or a backend, in order: leaves the registry, then ends
    /// the links. Each of these steps takes two seconds at most.
    /// [`Node::drain`](crate::Node::drain) does it by itself.
    pub async fn leave(&self) {
        self.runtime.leave(&self.router).await;
    }
}

/// Reaching clients.
impl Cluster {
    /// Sends to a client by its id.
    pub fn emit(&self, id: &str, content: impl Into<Content>) -> Receipt {
        self.emit_cast(&self.names().key(id), content.into().into_unicast())
    }

    /// As [`emit`](Self::emit), by the key of an id.
    pub(super) fn emit_cast(&self, id: &str, cast: Cast) -> Receipt {
        if self.router.peers.is_single_node() {
            return self.hub.emit_cast(id, cast);
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
            return self.hub.emit_many(ids, content);
        }
        // First, so that the iterator does not run between steps that belong together.
        let ids = ids.into_iter().map(|id| Arc::from(id.as_ref()));
        let ids: Vec<Arc<str>> = ids.collect();
        let cast = content.into().into_unicast();
        self.router.emit_many(self.names(), &ids, &cast)
    }

    /// Sends to every connection of a user. Costs one request to each other node that may have
    /// one, however many connections it has.
    pub fn emit_user(&self, user: &str, content: impl Into<Content>) -> Receipt<Summary> {
        self.multicast(Scope::User(&self.names().key(user)), content.into())
    }

    /// Sends to every connection in a group. Costs one request to each other node that may have
    /// one, however many connections it has.
    pub fn emit_group(&self, group: &str, content: impl Into<Content>) -> Receipt<Summary> {
        self.multicast(Scope::Group(&self.names().key(group)), content.into())
    }

    /// Sends to every connection of every node, this one included. Costs one request to each other node, and in
    /// another [namespace](Self::namespace) than the default one to those only that have clients of it.
    pub fn broadcast(&self, content: impl Into<Content>) -> Receipt<Summary> {
        self.multicast(self.names().everyone(), content.into())
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
        ClusterExcept::new(&self.router, self.names(), Arc::default()).matching(filter)
    }

    /// The same cluster without some client ids, for messages to many.
    pub fn except<I>(&self, ids: I) -> ClusterExcept<'_>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let names = self.names();
        let keys = ids.into_iter().map(|id| names.key(id.as_ref()).into());
        ClusterExcept::new(&self.router, names, keys.collect())
    }

    /// Begins the close handshake of a client; [`Delivery::Delivered`] says that it has begun. What was
    /// sent to the client before still leaves.
    pub fn close(&self, id: &str, frame: CloseFrame) -> Receipt {
        let (id, close) = (&*self.names().key(id), ClientOp::Close(frame));
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
        let group = self.names().key(group).into();
        self.change(id, ClientOp::Join(group)).await
    }

    /// Removes a client from a group.
    pub async fn leave_group(&self, id: &str, group: &str) -> Membership {
        let group = self.names().key(group).into();
        self.change(id, ClientOp::Leave(group)).await
    }

    /// Waits until the other nodes know which users and groups have a connection here, one second at
    /// most; false if some do not. Until they know, which takes the time of one message between nodes,
    /// a message that another node sends to a group may miss a connection that has just joined it by
    /// [`Connection::join`](crate::Connection::join).
    ///
    /// A node that did not answer in that time is not waited for again until it has caught up. Until
    /// then, the answer is false.
    pub async fn synced(&self) -> bool {
        self.router.interest.synced(SYNC_TIMEOUT).await
    }

    fn send(&self, id: &str, op: ClientOp) -> Receipt {
        if self.router.peers.is_single_node() || check_key(id).is_err() {
            return Receipt::decided(Delivery::Offline);
        }
        let (sender, receipt) = Receipt::channel();
        self.router.send(id, op, ResultSender::Delivery(sender));
        receipt
    }

    async fn change(&self, id: &str, op: ClientOp) -> Membership {
        let is_single_node = self.router.peers.is_single_node();
        let id = &*self.names().key(id);
        if check_key(id).is_err() {
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
    /// The connections of this node, in the [namespace](Self::namespace) of this handle; empty for a backend.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(crate) fn names(&self) -> &Namespace {
        self.hub.names()
    }

    /// The lease of nodes in the registry, and the timeout of a request to it.
    pub(crate) fn registry_times(&self) -> (Duration, Duration) {
        (self.runtime.lease, self.router.directory.timeout())
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

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("namespace", self.names())
            .field("address", &self.address())
            .field("process", &self.process())
            .field("peers", &self.peers())
            .finish_non_exhaustive()
    }
}
