//! Many nodes as one: reach any client, wherever it is.
//!
//! Owns the way of a message to the node that has its receiver: `msg` (a client: cached route, else the
//! registry, following it while it moves), `many` (a user, a group, everyone: one message for each
//! node), `ordering` (the order of calls while routes are looked up), `peers` (the links), `receive` (what
//! peers ask of this node), `listing` (lists over all nodes), `life` (start, watch, end). Must not know
//! sockets, handlers or HTTP. Invariants: every receipt is decided; what is answered `Unreachable` or
//! `Offline` was not delivered; nothing is sent twice.

mod advertise;
mod config;
mod inbound;
mod legacy_discovery;
mod lifecycle;
mod listing;
mod lookup;
mod multicast;
mod ordering;
mod peers;
mod pending;
mod routes;
mod summary;
mod unicast;

use std::{
    fmt,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use parking_lot::Mutex;
use tieline_registry::{Entry, Registry, RegistryError};
use tieline_websocket::{CloseFrame, Frame};
use tokio::sync::Notify;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use uuid::Uuid;

pub use self::{
    config::{ClusterConfig, ClusterError},
    peers::PeerStatus,
    summary::{Listed, Membership, NodeReached, OnlineStatus, Summary},
};
use self::{
    multicast::{Multicast, OwnedScope},
    ordering::OrderingQueue,
    peers::Peers,
    routes::Routes,
    unicast::{Applied, ClientOp, LookupResult, OutcomeSender, Route, Unicast},
};
use crate::{Delivery, Hub, Receipt, hub::ExcludedIds, link, registrar::Registrar};

type NodeRegistrar = Registrar<Inner>;

/// Many nodes as one. Cheap to clone; all clones are the same node.
///
/// A node that holds connections is [`Cluster::start`]ed with its [`Hub`]; a process without any, a
/// backend, [`Cluster::connect`]s. As with a hub, `emit` and its kin enqueue when they are called, and
/// return a [`Receipt`] that is decided whatever happens to nodes, links and registry: within a second,
/// and within two at the very most where both the registry and the client's node are slow to answer.
///
/// When the last clone is dropped the node stops at once, and its entries stay until its lease runs out;
/// [`Node::drain`](crate::Node::drain) or [`Cluster::leave`] end it in order.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
    _alive: Arc<DropGuard>,
}

pub(crate) struct Inner {
    hub: Hub,
    registry: Arc<dyn Registry>,
    timeout: Duration,
    process: Uuid,
    /// Where peers reach this node; `None` for a backend.
    address: Option<Arc<str>>,
    settings: Arc<link::LinkConfig>,
    peers: Peers,
    routes: Routes<Route>,
    ordering: OrderingQueue<Box<Unicast>, Multicast, LookupResult>,
    interest: Arc<link::Interest>,
    /// Addresses of foreign nodes, as they were found last.
    foreign: Mutex<Vec<Arc<str>>>,
    registrar: OnceLock<NodeRegistrar>,
    port: OnceLock<link::PeerServer>,
    /// Whether the registry answered when it was asked last.
    registry_answers: AtomicBool,
    /// A look-up was not answered.
    registry_silent: Arc<Notify>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Reaching clients.
impl Cluster {
    /// Sends to the client with this id, wherever it is.
    pub fn emit(&self, id: &str, frame: impl Into<Frame>) -> Receipt {
        let frame = frame.into();
        if !self.inner.ordering.is_waiting_for(id)
            && let Some(member) = self.inner.here(id)
        {
            let mut receipt = self.inner.hub.emit_to(&member, frame.clone());
            match receipt.try_outcome() {
                // It left this moment: it may be elsewhere by now.
                Some(Delivery::Offline) => {}
                Some(delivery) => return Receipt::decided(delivery),
                None => return receipt,
            }
        }
        self.away(id, ClientOp::Emit(frame))
    }

    /// Sends to every connection of a user.
    pub fn emit_user(&self, user: &str, frame: impl Into<Frame>) -> Receipt<Summary> {
        let user = OwnedScope::User(user.into());
        self.inner.send_multicast(user, None, frame.into())
    }

    /// Sends to every connection in a group.
    pub fn emit_group(&self, group: &str, frame: impl Into<Frame>) -> Receipt<Summary> {
        let group = OwnedScope::Group(group.into());
        self.inner.send_multicast(group, None, frame.into())
    }

    /// Sends to every connection of every node, the sender's included.
    pub fn broadcast(&self, frame: impl Into<Frame>) -> Receipt<Summary> {
        self.inner
            .send_multicast(OwnedScope::Everyone, None, frame.into())
    }

    /// The same cluster with some client ids left out of what is sent to many.
    pub fn except<I>(&self, ids: I) -> ClusterExcept<'_>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        ClusterExcept {
            cluster: self,
            ids: ids.into_iter().map(|id| Arc::from(id.as_ref())).collect(),
        }
    }

    /// Begins the close handshake of a client; [`Delivery::Delivered`] says that it has begun. What was
    /// sent before still leaves.
    pub fn close(&self, id: &str, frame: CloseFrame) -> Receipt {
        match self.inner.here(id) {
            Some(member) => {
                self.inner.apply(&member, &ClientOp::Close(frame));
                Receipt::decided(Delivery::Delivered)
            }
            None => self.away(id, ClientOp::Close(frame)),
        }
    }

    /// Joins a client to a group. It is answered when the other nodes know, so that messages to the group
    /// that they send from then on reach the client; a node that does not answer is waited for a second at
    /// most.
    pub async fn join(&self, id: &str, group: &str) -> Membership {
        self.change(id, ClientOp::Join(group.into())).await
    }

    /// Takes a client out of a group.
    pub async fn leave_group(&self, id: &str, group: &str) -> Membership {
        self.change(id, ClientOp::Leave(group.into())).await
    }

    /// Waits until the other nodes know which users and groups have a connection here, a second at most;
    /// false if some do not. A message to a group that another node sends reaches a member that joined
    /// here by [`Connection::join`](crate::Connection::join) once they do, which takes the time of one
    /// message between nodes.
    pub async fn synced(&self) -> bool {
        self.inner.interest.settled(unicast::DECIDED_WITHIN).await
    }

    fn away(&self, id: &str, op: ClientOp) -> Receipt {
        let (sender, receipt) = Receipt::channel();
        let msg = Unicast::new(id, op, OutcomeSender::Delivery(sender));
        self.inner.send_remote(msg);
        receipt
    }

    async fn change(&self, id: &str, op: ClientOp) -> Membership {
        if let Some(member) = self.inner.here(id)
            && let Applied::Done(code) = self.inner.apply(&member, &op)
        {
            self.synced().await;
            return unicast::OpResult::Code(code).into();
        }
        let (sender, outcome) = tokio::sync::oneshot::channel();
        let msg = Unicast::new(id, op, OutcomeSender::Membership(sender));
        self.inner.send_remote(msg);
        outcome.await.unwrap_or(Membership::Unknown)
    }
}

/// What it is made of.
impl Cluster {
    /// The connections of this node; empty for a backend.
    pub fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    /// The registry.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.inner.registry
    }

    /// Where peers reach this node; `None` for a backend.
    pub fn address(&self) -> Option<&str> {
        self.inner.address.as_deref()
    }

    /// The process, as the registry knows it: made anew for each start.
    pub fn process(&self) -> Uuid {
        self.inner.process
    }

    /// How many entries this node believes to have in the registry.
    pub fn entries(&self) -> u64 {
        self.inner.registrar().map_or(0, NodeRegistrar::entries)
    }

    /// The other nodes, by address.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let all = self.inner.peers.all();
        let mut peers: Vec<_> = all.values().map(|peer| peer.status()).collect();
        peers.sort_unstable_by(|a, b| a.address.cmp(&b.address));
        peers
    }
}

impl Inner {
    fn registrar(&self) -> Option<&NodeRegistrar> {
        self.registrar.get()
    }

    /// Who has an id, within the registry's deadline.
    async fn locate(&self, id: &str, fresh: bool) -> Result<Option<Entry>, RegistryError> {
        let answer = self
            .with_timeout("say who has an id", self.registry.locate(id, fresh))
            .await;
        if answer.is_err() {
            self.registry_is_silent();
        }
        answer
    }

    /// An answer of the registry, within its deadline.
    async fn with_timeout<T>(
        &self,
        what: &str,
        answer: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        RegistryError::with_timeout(self.timeout, what, answer).await
    }
}

/// A cluster with some client ids left out; made by [`Cluster::except`].
#[derive(Debug, Clone)]
pub struct ClusterExcept<'a> {
    cluster: &'a Cluster,
    ids: ExcludedIds,
}

impl ClusterExcept<'_> {
    /// Sends to every connection of a user but the exceptions.
    pub fn emit_user(&self, user: &str, frame: impl Into<Frame>) -> Receipt<Summary> {
        self.send(OwnedScope::User(user.into()), frame.into())
    }

    /// Sends to every connection in a group but the exceptions.
    pub fn emit_group(&self, group: &str, frame: impl Into<Frame>) -> Receipt<Summary> {
        self.send(OwnedScope::Group(group.into()), frame.into())
    }

    /// Sends to every connection of every node but the exceptions.
    pub fn broadcast(&self, frame: impl Into<Frame>) -> Receipt<Summary> {
        self.send(OwnedScope::Everyone, frame.into())
    }

    fn send(&self, scope: OwnedScope, frame: Frame) -> Receipt<Summary> {
        self.cluster
            .inner
            .send_multicast(scope, Some(Arc::clone(&self.ids)), frame)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("address", &self.inner.address)
            .field("process", &self.inner.process)
            .field("peers", &self.peers())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
