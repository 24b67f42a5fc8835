//! The hub itself: its shards, and the way to one connection.
//!
//! Owns the choice of shard. Must not know the public handle of a connection.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use tieline_registry::NameError;
use tokio_util::{sync::DropGuard, task::TaskTracker};

use super::{
    content::Cast,
    context::HubContext,
    filter::Filter,
    handlers::Handlers,
    inner::ConnectionInner,
    namespace::Namespace,
    population::Population,
    room::{Entry, Room, SendError},
    scope::{Hashed, Scope},
    shard::Shard,
    shard_map::ShardMaps,
};
use crate::{close::CloseReason, delivery::Delivery, receipt::Receipt};

/// The connections of this node. Cheap to clone; all clones are the same hub.
///
/// The methods that send (`emit`, `emit_user`, `emit_group`, `broadcast`) enqueue when they are called and
/// return a [`Receipt`], which may be awaited, spawned or dropped.
///
/// What is sent to a user, a group or everyone leaves for the clients once the tasks that are ready on this
/// worker thread have run, so that many senders cost each client one write. A task that goes on computing,
/// or blocks, holds back what it has sent, and what others send to the same clients, until it awaits
/// something or calls `block_in_place`. Before you end the process yourself, drain the node.
///
/// ```
/// use tieline::{Config, Delivery, Hub};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// let hub = Hub::new(Config::default())?;
/// assert_eq!(hub.emit("alice", "hello").await, Delivery::Offline); // nobody is connected yet
/// assert_eq!(hub.broadcast("hello").await.delivered, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Hub {
    pub(super) inner: Arc<HubInner>,
    /// Where the names that the application gives are looked for. What the library calls takes keys.
    namespace: Namespace,
}

/// Makes a filter of bytes, if they are one.
pub(super) type Compile = Box<dyn Fn(&Hub, &[u8]) -> Option<Filter> + Send + Sync>;

pub(super) struct HubInner {
    pub(super) compile: Option<Compile>,
    pub(super) shards: Box<[Arc<Shard>]>,
    pub(super) maps: ShardMaps,
    pub(super) hasher: RandomState,
    pub(super) context: Arc<HubContext>,
    pub(super) capacity: usize,
    pub(super) handlers: Handlers<Asked>,
    /// Registered connections whose task has not ended.
    pub(super) connections: Population,
    /// Those of them that wait for their admission.
    #[cfg(feature = "cluster")]
    pub(super) claimants: Population,
    /// Stops the tasks of the shards.
    pub(super) _workers: DropGuard,
}

/// Whom a request is about.
pub(crate) enum Asked {
    Client(Hub, Arc<ConnectionInner>),
    #[cfg(feature = "cluster")]
    Node,
}

/// Whether a client is at this node.
#[derive(Clone)]
pub(crate) enum Presence<Connection = Arc<ConnectionInner>> {
    /// It has an open connection.
    Here(Connection),
    /// It has none, and one waits for its admission.
    #[cfg(feature = "cluster")]
    Claimed,
    Absent,
}

/// Handles.
impl Hub {
    pub(super) fn new_in(namespace: Namespace, inner: Arc<HubInner>) -> Self {
        Self { inner, namespace }
    }

    /// The same hub in a namespace: each call of what this returns is about names in it, and `broadcast`,
    /// `connections`, `len`, `counts` and `close` are about its clients only. Names of different namespaces never
    /// meet: a client, a user and a group `lobby` in `chat` are others than those in `game`, and than those in the
    /// default namespace, in which clients are unless [`Accept::namespace`](crate::Accept::namespace) says
    /// otherwise. The empty name is the default namespace, whatever handle it is asked of.
    ///
    /// A namespace needs no setup, and is gone with its last client. The limits of [`Config`](crate::Config) and the
    /// [`stats`](Self::stats) are those of the hub, over all namespaces.
    ///
    /// ```
    /// # use tieline::{Config, Hub};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hub = Hub::new(Config::default())?;
    /// let chat = hub.namespace("chat")?;
    /// chat.emit_group("lobby", "only to clients that were accepted in `chat`");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The name is longer than [`MAX_NAMESPACE`](crate::MAX_NAMESPACE) bytes, or contains a NUL.
    pub fn namespace(&self, name: &str) -> Result<Self, NameError> {
        Ok(self.within(Namespace::new(name)?))
    }

    pub(crate) fn within(&self, namespace: Namespace) -> Self {
        Self::new_in(namespace, Arc::clone(&self.inner))
    }

    /// The same hub in the default namespace.
    #[cfg(feature = "cluster")]
    pub(crate) fn in_default(self) -> Self {
        Self::new_in(Namespace::DEFAULT, self.inner)
    }

    /// The same hub in the namespace of a connection.
    pub(super) fn of(&self, conn: &ConnectionInner) -> Self {
        if conn.id.namespace() == self.namespace.name() {
            return self.clone();
        }
        self.within(Namespace::shared(&conn.id, &self.inner.context.names))
    }

    /// Where names are looked for.
    pub(crate) fn names(&self) -> &Namespace {
        &self.namespace
    }
}

/// Shards and connections.
impl Hub {
    pub(super) fn count(&self) -> usize {
        self.inner.connections.all()
    }

    /// How many connections are reachable, or were before they began to close, in all namespaces.
    pub(super) fn admitted(&self) -> usize {
        let count = self.count();
        #[cfg(feature = "cluster")]
        let count = count.saturating_sub(self.inner.claimants.all());
        count
    }

    /// Those of them in the default namespace.
    pub(super) fn admitted_by_default(&self) -> usize {
        let count = self.inner.connections.in_default();
        #[cfg(feature = "cluster")]
        let count = count.saturating_sub(self.inner.claimants.in_default());
        count
    }

    /// The connection with this key.
    pub(super) fn find(&self, id: &str) -> Option<Arc<ConnectionInner>> {
        // One hash picks the shard and finds the connection in it.
        let hash = self.inner.hasher.hash_one(id);
        let shard = &self.inner.shards[self.shard_of(hash)];
        shard.index.lock().find(hash, id)
    }

    /// The connection with this key, unless its close was requested.
    pub(crate) fn find_open(&self, id: &str) -> Option<Arc<ConnectionInner>> {
        self.find(id).filter(|conn| !conn.is_close_requested())
    }

    /// Whether the client with this key is at this node.
    pub(crate) fn presence(&self, id: &str) -> Presence {
        let hash = self.inner.hasher.hash_one(id);
        let index = self.inner.shards[self.shard_of(hash)].index.lock();
        if let Some(conn) = index
            .find(hash, id)
            .filter(|conn| !conn.is_close_requested())
        {
            return Presence::Here(conn);
        }
        #[cfg(feature = "cluster")]
        if index.claimants.contains(id) {
            return Presence::Claimed;
        }
        Presence::Absent
    }

    /// The shard of an id with this hash, by its upper half; the index of the shard uses the lower.
    pub(super) fn shard_of(&self, hash: u64) -> usize {
        (hash >> 32) as usize % self.inner.shards.len()
    }

    /// The shards that have members of a scope.
    pub(super) fn shards_of(&self, scope: Hashed<Scope<'_>>) -> impl Iterator<Item = &Shard> {
        let numbers = self.inner.maps.shards_of(scope);
        numbers.map(|number| &*self.inner.shards[number])
    }

    pub(super) fn shard(&self, conn: &ConnectionInner) -> &Shard {
        &self.inner.shards[usize::from(conn.shard)]
    }

    /// What the application has spawned on connections.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.inner.context.tasks
    }

    /// Closes a connection, behind what was sent to it before.
    pub(crate) fn close_connection(&self, conn: &Arc<ConnectionInner>, reason: CloseReason) {
        self.shard(conn).queue.close(conn, reason, self.count());
    }
}

/// Sending.
impl Hub {
    /// Sends to one connection: at once, or behind what is pending in its shard.
    pub(crate) fn emit_to(&self, conn: &Arc<ConnectionInner>, cast: Cast) -> Receipt {
        let shard = self.shard(conn);
        if shard.queue.is_idle() {
            return Receipt::decided(conn.send(cast));
        }
        shard.queue.queue_unicast(conn, cast)
    }

    /// Sends to one connection when its outbox has room, behind what is pending in its shard now.
    pub(crate) async fn send_when_ready(
        &self,
        conn: &Arc<ConnectionInner>,
        cast: Cast,
    ) -> Result<(), SendError> {
        let counters = conn.context().counters();
        if conn.is_close_requested() {
            counters.deliveries(Delivery::Offline, 1);
            return Err(SendError::Closed);
        }
        self.shard(conn).queue.passed().await;
        let Some(rendered) = conn.rendered(&cast) else {
            counters.deliveries(Delivery::Refused, 1);
            return Err(SendError::Refused);
        };
        conn.compress(&rendered.frame);
        Room::new(conn, Entry::Frame(rendered)).await
    }

    /// Begins a message that is sent in pieces when the outbox has room and no other such message is being sent,
    /// behind what is pending in the shard now.
    pub(super) async fn begin_message(&self, conn: &Arc<ConnectionInner>) -> Result<(), SendError> {
        if conn.is_close_requested() {
            return Err(SendError::Closed);
        }
        self.shard(conn).queue.passed().await;
        Room::new(conn, Entry::Message).await
    }

    /// Waits until the outbox of a connection has room.
    pub(crate) async fn ready(&self, conn: &Arc<ConnectionInner>) -> Result<(), SendError> {
        if conn.is_close_requested() {
            return Err(SendError::Closed);
        }
        Room::new(conn, Entry::Nobody).await
    }
}

/// For the cluster.
#[cfg(feature = "cluster")]
impl Hub {
    /// Whether it has connections.
    pub(crate) fn is_in_use(&self) -> bool {
        self.admitted() > 0
    }

    /// Reports what changes to an observer from now on; false if there is one already.
    pub(crate) fn set_observer(&self, observer: &Arc<dyn super::observer::HubObserver>) -> bool {
        let mut shards = self.inner.shards.iter();
        shards.all(|shard| shard.index.lock().set_observer(Arc::clone(observer)))
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("namespace", &self.namespace)
            .field("connections", &self.admitted())
            .finish_non_exhaustive()
    }
}
