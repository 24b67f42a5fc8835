//! The hub itself: its shards, and routing a message to the connections of a scope.
//!
//! Owns the choice of shard and the choice between sending inline and queueing. Must not know the public
//! handle of a connection.

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
    content::{Cast, Content},
    context::HubContext,
    dialect::DialectId,
    inner::ConnectionInner,
    members::Members,
    room::{Room, SendError},
    scope::{ExcludedIds, Hashed, Scope},
    shard::Shard,
    shard_map::ShardMaps,
};
use crate::{
    close::CloseReason,
    delivery::Reached,
    receipt::{OutcomeSum, Receipt},
};

/// The most receivers of a message that its caller serves itself, in all shards together: waking a worker
/// would cost as much as the sends.
const INLINE_RECEIVERS: usize = 32;

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

pub(super) struct HubInner {
    pub(super) shards: Box<[Arc<Shard>]>,
    pub(super) maps: ShardMaps,
    pub(super) hasher: RandomState,
    pub(super) context: Arc<HubContext>,
    pub(super) capacity: usize,
    /// Registered connections whose task has not ended.
    pub(super) connections: AtomicUsize,
    /// Those of them that wait for their admission.
    #[cfg(feature = "cluster")]
    pub(super) claimants: AtomicUsize,
    /// Stops the tasks of the shards.
    pub(super) _workers: DropGuard,
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

    /// Sends what a call of the application was given to a scope.
    pub(super) fn multicast(
        &self,
        scope: Scope<'_>,
        except: Option<&ExcludedIds>,
        content: Content,
    ) -> Receipt<Reached> {
        self.send_to_scope(scope, except, &content.into_multicast(scope))
    }

    /// Sends to one connection when its outbox has room, behind what is pending in its shard now.
    pub(crate) async fn send_when_ready(
        &self,
        conn: &Arc<ConnectionInner>,
        cast: Cast,
    ) -> Result<(), SendError> {
        if conn.is_close_requested() {
            return Err(SendError::Closed);
        }
        self.shard(conn).queue.passed().await;
        let rendered = conn.rendered(&cast).ok_or(SendError::Refused)?;
        conn.compress(&rendered.frame);
        Room::new(conn, Some(rendered)).await
    }

    /// Waits until the outbox of a connection has room.
    pub(crate) async fn ready(&self, conn: &Arc<ConnectionInner>) -> Result<(), SendError> {
        if conn.is_close_requested() {
            return Err(SendError::Closed);
        }
        Room::new(conn, None).await
    }

    /// Sends to a scope: at once if it has few receivers and nothing is pending, else through the queues.
    pub(crate) fn send_to_scope<T>(
        &self,
        scope: Scope<'_>,
        except: Option<&ExcludedIds>,
        cast: &Cast,
    ) -> Receipt<T>
    where
        T: From<Reached> + Send + 'static,
    {
        let scope = Hashed::new(scope, &self.0.hasher);
        let (reached, shards) = self.send_inline(scope, except, cast);
        if shards.is_empty() {
            return Receipt::counted(reached);
        }
        let (sum, receipt) = OutcomeSum::new(shards.len(), reached);
        self.queue_in(&shards, scope, except, cast, &sum);
        receipt
    }

    /// As [`Hub::send_to_scope`], but calls `callback` with the outcome, now or later; never if the hub
    /// ends first.
    #[cfg(feature = "cluster")]
    pub(crate) fn send_with_callback(
        &self,
        scope: Scope<'_>,
        except: Option<&ExcludedIds>,
        cast: &Cast,
        callback: impl FnOnce(Reached) + Send + 'static,
    ) {
        let scope = Hashed::new(scope, &self.0.hasher);
        let (reached, shards) = self.send_inline(scope, except, cast);
        if shards.is_empty() {
            return callback(reached);
        }
        let sum = OutcomeSum::with_callback(shards.len(), reached, Box::new(callback));
        self.queue_in(&shards, scope, except, cast, &sum);
    }

    /// Delivers at once if there are few receivers, in the shards where nothing is pending. Returns the
    /// shards where the message has to be queued.
    fn send_inline(
        &self,
        scope: Hashed<Scope<'_>>,
        except: Option<&ExcludedIds>,
        cast: &Cast,
    ) -> (Reached, Vec<usize>) {
        let mut reached = Reached::default();
        let (mut few, mut pending) = (FewReceivers::default(), Vec::new());
        for i in self.0.maps.shards_of(scope) {
            let shard = &self.0.shards[i];
            let index = shard.index.lock();
            let Some(members) = index.members(scope) else {
                continue;
            };
            if !shard.queue.is_idle() {
                pending.push(i);
            } else if !few.add(members) {
                drop(index);
                return (reached, self.0.maps.shards_of(scope).collect());
            }
        }
        if few.len == 0 {
            return (reached, pending);
        }
        let tick = self.0.context.ticks.current();
        for conn in few.iter() {
            if except.is_some_and(|ids| ids.iter().any(|id| **id == *conn.id)) {
                continue;
            }
            if let Some(rendered) = conn.rendered(cast) {
                reached.record(conn.send_one_of_many(rendered, tick));
            }
        }
        (reached, pending)
    }

    /// Queues in these shards; each adds its part to the sum.
    fn queue_in(
        &self,
        shards: &[usize],
        scope: Hashed<Scope<'_>>,
        except: Option<&ExcludedIds>,
        cast: &Cast,
        sum: &Arc<OutcomeSum>,
    ) {
        let ids = except.into_iter().flat_map(|ids| ids.iter());
        let hashed = ids.map(|id| {
            let hash = self.0.hasher.hash_one(&**id);
            (self.shard_of(hash), hash, &**id)
        });
        let hashed: Vec<_> = hashed.collect();
        self.compress_for(shards, scope, cast);
        for &shard in shards {
            let here = hashed.iter().filter(|(of, ..)| *of == shard);
            let excluded = here.map(|&(_, hash, id)| (hash, id));
            self.0.shards[shard].queue_broadcast(scope, excluded, cast.clone(), Arc::clone(sum));
        }
    }
}

/// Members of a scope, in each shard, that are asked whether they take compressed messages.
const SAMPLE: usize = 32;

/// Compression.
impl Hub {
    /// Compresses a message once, here, if it looks as if a receiver wanted that: the workers of several
    /// shards would otherwise do it at the same time. Of a note, what the first of them reads.
    fn compress_for(&self, shards: &[usize], scope: Hashed<Scope<'_>>, cast: &Cast) {
        let HubContext {
            rules, dialects, ..
        } = &*self.0.context;
        let Some(deflate) = &rules.deflate else {
            return;
        };
        let dialect = |&shard: &usize| {
            let index = self.0.shards[shard].index.lock();
            let members = index.members(scope).map(Members::iter);
            let mut sample = members.into_iter().flatten().take(SAMPLE);
            let found = sample.find(|conn| conn.deflate().is_some());
            found.map(|conn| conn.dialect())
        };
        // The index is not locked any more where the application renders.
        let dialect: Option<DialectId> = shards.iter().find_map(dialect);
        if let Some(frame) = dialect.and_then(|dialect| cast.frame(dialects, dialect)) {
            frame.encoded(Some(deflate));
        }
    }
}

/// The receivers of a message that its caller serves. They are copied, because the lock of a shard is not
/// held while sockets are written to; to the stack, because this is the path of most messages.
#[derive(Default)]
struct FewReceivers {
    conns: [Option<Arc<ConnectionInner>>; INLINE_RECEIVERS],
    len: usize,
}

impl FewReceivers {
    /// Adds the members of a shard; false if that are too many.
    fn add(&mut self, members: &Members<ConnectionInner>) -> bool {
        let rest = &mut self.conns[self.len..];
        if members.len() > rest.len() {
            return false;
        }
        for (place, conn) in rest.iter_mut().zip(members.iter()) {
            *place = Some(Arc::clone(conn));
        }
        self.len += members.len();
        true
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<ConnectionInner>> {
        self.conns[..self.len].iter().flatten()
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
