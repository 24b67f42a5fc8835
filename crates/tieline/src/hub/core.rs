//! The hub itself: its shards, and the way to one connection.
//!
//! Owns the choice of shard. Must not know the public handle of a connection.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio_util::{sync::DropGuard, task::TaskTracker};

use super::{
    content::Cast,
    context::HubContext,
    filter::Filter,
    handlers::Handlers,
    inner::ConnectionInner,
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
pub struct Hub(pub(super) Arc<HubInner>);

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
    pub(super) connections: AtomicUsize,
    /// Those of them that wait for their admission.
    #[cfg(feature = "cluster")]
    pub(super) claimants: AtomicUsize,
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

/// Shards and connections.
impl Hub {
    pub(super) fn count(&self) -> usize {
        self.0.connections.load(Ordering::Acquire)
    }

    /// How many connections are reachable, or were before they began to close.
    pub(super) fn admitted(&self) -> usize {
        let count = self.count();
        #[cfg(feature = "cluster")]
        let count = count.saturating_sub(self.0.claimants.load(Ordering::Acquire));
        count
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<ConnectionInner>> {
        // One hash picks the shard and finds the connection in it.
        let hash = self.0.hasher.hash_one(id);
        let shard = &self.0.shards[self.shard_of(hash)];
        shard.index.lock().find(hash, id)
    }

    /// The connection with this id, unless its close was requested.
    pub(crate) fn find_open(&self, id: &str) -> Option<Arc<ConnectionInner>> {
        self.find(id).filter(|conn| !conn.is_close_requested())
    }

    /// Whether a client is at this node.
    pub(crate) fn presence(&self, id: &str) -> Presence {
        let hash = self.0.hasher.hash_one(id);
        let index = self.0.shards[self.shard_of(hash)].index.lock();
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
        (hash >> 32) as usize % self.0.shards.len()
    }

    /// The shards that have members of a scope.
    pub(super) fn shards_of(&self, scope: Hashed<Scope<'_>>) -> impl Iterator<Item = &Shard> {
        let numbers = self.0.maps.shards_of(scope);
        numbers.map(|number| &*self.0.shards[number])
    }

    pub(super) fn shard(&self, conn: &ConnectionInner) -> &Shard {
        &self.0.shards[usize::from(conn.shard)]
    }

    /// What the application has spawned on connections.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.context.tasks
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
    /// Reports what changes to an observer from now on; false if there is one already.
    pub(crate) fn set_observer(&self, observer: &Arc<dyn super::observer::HubObserver>) -> bool {
        let mut shards = self.0.shards.iter();
        shards.all(|shard| shard.index.lock().set_observer(Arc::clone(observer)))
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("connections", &self.admitted())
            .finish_non_exhaustive()
    }
}
