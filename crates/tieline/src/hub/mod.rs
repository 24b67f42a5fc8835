//! The connections of this node, and how to reach them.
//!
//! Owns the index (`shard`), each connection's queue and socket (`conn`, `send_side`, `outbox`), the order
//! of messages to one and to many (`broadcast`), the flush at the end of a turn (`turn`) and the
//! keepalive (`sweeper`). Must not know handlers, HTTP, registries or other nodes. Invariants: an id
//! names at most one connection; a message to many reaches exactly those who were there when it was
//! sent; what one task sends to one client arrives in the order of the calls.

mod broadcast;
mod context;
mod cork;
mod except;
mod groups;
mod guard;
mod handle;
mod index;
mod inner;
mod keepalive;
mod observer;
mod outbox;
mod send_side;
mod task_side;

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, atomic::AtomicUsize},
};

use parking_lot::Mutex;
use tieline_websocket::{CloseCode, CloseFrame, Frame};
use tokio_util::sync::{CancellationToken, DropGuard};

#[cfg(feature = "cluster")]
pub(crate) use self::observer::{HubObserver, ScopeKey};
#[cfg(feature = "bench")]
pub(crate) use self::outbox::Outbox;
pub(crate) use self::{
    broadcast::ExcludedIds,
    cork::Cork,
    guard::{ConnectionGuard, RegisterError},
    index::Scope,
    inner::{ConnectionInfo, ConnectionInner, ConnectionOptions},
};
use self::{
    broadcast::{Bounds, BroadcastJob, ShardQueue},
    context::HubContext,
    index::{Audience, ShardIndex},
};
pub use self::{
    except::Except,
    handle::{Connection, JoinError},
};
use crate::{CloseReason, Config, ConfigError, Reached, Receipt, receipt::OutcomeSum};

/// The connections of this node. Cheap to clone; all clones are the same hub.
///
/// `emit` and its kin enqueue when they are called and return a [`Receipt`], which may be awaited,
/// spawned or dropped.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    shards: Box<[Arc<Shard>]>,
    hasher: RandomState,
    context: Arc<HubContext>,
    capacity: usize,
    /// Admitted connections whose task has not ended.
    sockets: AtomicUsize,
    _workers: DropGuard,
}

/// What a member's number for its shard can say.
const MOST_SHARDS: usize = u16::MAX as usize;

/// A shard with its queue.
struct Shard {
    index: Mutex<ShardIndex>,
    queue: ShardQueue,
}

impl Hub {
    /// A hub that runs: its workers and sweepers are tasks of the current tokio runtime, and end when
    /// the last clone and the last connection are gone.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        let available = || std::thread::available_parallelism().map_or(1, usize::from);
        let shards = config.shards.unwrap_or_else(available).min(MOST_SHARDS);
        let capacity = config.capacity();
        let bounds = Bounds {
            bytes: config.broadcast_queue_bytes,
            frames: config.broadcast_queue_frames,
        };
        let context = Arc::new(HubContext::new(config));
        let (stop, hasher) = (CancellationToken::new(), RandomState::new());
        let shards = (0..shards)
            .map(|_| Shard::start(bounds, hasher.clone(), &context, &stop))
            .collect();
        Ok(Self(Arc::new(Inner {
            shards,
            hasher,
            context,
            capacity,
            sockets: AtomicUsize::new(0),
            _workers: stop.drop_guard(),
        })))
    }

    /// The connection with this id, if it is here and open.
    pub fn connection(&self, id: &str) -> Option<Connection> {
        let conn = self.find(id)?;
        (!conn.is_close_requested()).then(|| self.handle(conn))
    }

    /// Whether a client is here.
    pub fn online(&self, id: &str) -> bool {
        self.find(id).is_some_and(|conn| !conn.is_close_requested())
    }

    /// How many connections this hub admitted and has not ended yet.
    pub fn len(&self) -> usize {
        self.0.sockets.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Whether no connection is here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All connections, in no order. Costs a visit of each.
    pub fn connections(&self) -> Vec<Connection> {
        self.gather(Scope::Everyone)
    }

    /// The connections of a user.
    pub fn user(&self, user: &str) -> Vec<Connection> {
        self.gather(Scope::User(user))
    }

    /// The connections in a group.
    pub fn members(&self, group: &str) -> Vec<Connection> {
        self.gather(Scope::Group(group))
    }

    /// The users who are here, each once, in no order.
    pub fn users(&self) -> Vec<Arc<str>> {
        let mut users: Vec<_> = self
            .0
            .shards
            .iter()
            .flat_map(|p| p.index.lock().users())
            .collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// Sends to the client with this id.
    pub fn emit(&self, id: &str, frame: impl Into<Frame>) -> Receipt {
        match self.find(id) {
            Some(conn) => self.emit_to(&conn, frame.into()),
            None => Receipt::decided(crate::Delivery::Offline),
        }
    }

    /// Sends to every connection of a user.
    pub fn emit_user(&self, user: &str, frame: impl Into<Frame>) -> Receipt<Reached> {
        self.send_to_scope(Scope::User(user), None, &frame.into())
    }

    /// Sends to every connection in a group.
    pub fn emit_group(&self, group: &str, frame: impl Into<Frame>) -> Receipt<Reached> {
        self.send_to_scope(Scope::Group(group), None, &frame.into())
    }

    /// Sends to every connection, the sender's included.
    pub fn broadcast(&self, frame: impl Into<Frame>) -> Receipt<Reached> {
        self.send_to_scope(Scope::Everyone, None, &frame.into())
    }

    /// The same hub with some client ids left out of what is sent to many.
    ///
    /// ```
    /// # use tieline::{Config, Hub};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tieline::ConfigError> {
    /// let hub = Hub::new(Config::default())?;
    /// let reached = hub.except(["alice"]).emit_group("room", "hello, all but Alice").await;
    /// assert_eq!(reached.delivered, 0); // nobody is here yet
    /// # Ok(())
    /// # }
    /// ```
    pub fn except<I>(&self, ids: I) -> Except<'_>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Except::new(
            self,
            ids.into_iter().map(|id| Arc::from(id.as_ref())).collect(),
        )
    }

    /// Closes every connection with code 1001. Connections made later are not affected; see
    /// [`Node::drain`](crate::Node::drain) for an orderly end.
    pub fn close(&self) {
        let frame = CloseFrame::new(CloseCode::GOING_AWAY, "the hub closes");
        for connection in self.connections() {
            connection.close(frame.clone());
        }
    }

    /// The settings it was made with.
    pub fn config(&self) -> &Config {
        &self.0.context.config
    }

    /// Closes a connection, behind what was sent to it before.
    pub(crate) fn close_member(&self, conn: &Arc<ConnectionInner>, reason: CloseReason) {
        self.shard(conn).queue.close(conn, reason);
    }

    /// Tells someone what changes from here on; false if someone is told already.
    #[cfg(feature = "cluster")]
    pub(crate) fn watch(&self, watch: &Arc<dyn HubObserver>) -> bool {
        let mut shards = self.0.shards.iter();
        shards.all(|shard| shard.index.lock().watch(Arc::clone(watch)))
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<ConnectionInner>> {
        // One hash names the shard and finds the member in it.
        let hash = self.0.hasher.hash_one(id);
        let shard = &self.0.shards[self.shard_of(hash)];
        shard.index.lock().find(hash, id)
    }

    /// Does something while a member has its id; false where another has it, or nobody. Comings and
    /// goings of that id wait, so the deed must not look into the hub.
    #[cfg(feature = "cluster")]
    pub(crate) fn with_current(&self, conn: &Arc<ConnectionInner>, f: impl FnOnce()) -> bool {
        let index = self.shard(conn).index.lock();
        let held = index.holds(conn);
        if held {
            f();
        }
        held
    }

    /// The shard of an id with this hash: by the upper half, as the index of the shard goes by the lower.
    fn shard_of(&self, hash: u64) -> usize {
        (hash >> 32) as usize % self.0.shards.len()
    }

    fn shard(&self, conn: &ConnectionInner) -> &Shard {
        &self.0.shards[usize::from(conn.shard)]
    }

    pub(crate) fn handle(&self, conn: Arc<ConnectionInner>) -> Connection {
        Connection::new(self.clone(), conn)
    }

    fn gather(&self, scope: Scope<'_>) -> Vec<Connection> {
        let audiences = self
            .0
            .shards
            .iter()
            .filter_map(|shard| shard.index.lock().audience(scope));
        audiences
            .flat_map(|audience| audience.iter().map(Arc::clone).collect::<Vec<_>>())
            .filter(|conn| !conn.is_close_requested())
            .map(|conn| self.handle(conn))
            .collect()
    }

    /// Sends to one connection: at once, or behind what still waits in its shard.
    pub(crate) fn emit_to(&self, conn: &Arc<ConnectionInner>, frame: Frame) -> Receipt {
        let shard = self.shard(conn);
        if shard.queue.is_idle() {
            return Receipt::decided(conn.send(frame));
        }
        shard.queue.queue_unicast(conn, frame)
    }

    /// Sends to a scope: at once where few are, else by a post to each shard that has someone in it.
    pub(crate) fn send_to_scope(
        &self,
        scope: Scope<'_>,
        except: Option<&ExcludedIds>,
        frame: &Frame,
    ) -> Receipt<Reached> {
        let (reached, queues) = self.send_inline_or_queue(scope, except, frame);
        if queues.is_empty() {
            return Receipt::decided(reached);
        }
        let (sum, receipt) = OutcomeSum::new(queues.len(), reached);
        queue_all(queues, except, frame, &sum);
        receipt
    }

    /// The same for someone who is told the outcome, now or later, and never where the hub ends first.
    #[cfg(feature = "cluster")]
    pub(crate) fn send_with_callback(
        &self,
        scope: Scope<'_>,
        except: Option<&ExcludedIds>,
        frame: &Frame,
        callback: impl FnOnce(Reached) + Send + 'static,
    ) {
        let (reached, queues) = self.send_inline_or_queue(scope, except, frame);
        if queues.is_empty() {
            return callback(reached);
        }
        let sum = OutcomeSum::with_callback(queues.len(), reached, Box::new(callback));
        queue_all(queues, except, frame, &sum);
    }

    /// Delivers to the shards where few are; the others' queues, with their audiences.
    fn send_inline_or_queue(
        &self,
        scope: Scope<'_>,
        except: Option<&ExcludedIds>,
        frame: &Frame,
    ) -> (Reached, Vec<(&ShardQueue, Audience)>) {
        let mut reached = Reached::default();
        let mut queues = Vec::new();
        for shard in &self.0.shards {
            let Some(audience) = shard.index.lock().audience(scope) else {
                continue;
            };
            match shard.queue.try_send_inline(&audience, except, frame) {
                Some(shard) => reached.add(shard),
                None => queues.push((&shard.queue, audience)),
            }
        }
        (reached, queues)
    }
}

fn queue_all(
    queues: Vec<(&ShardQueue, Audience)>,
    except: Option<&ExcludedIds>,
    frame: &Frame,
    sum: &Arc<OutcomeSum>,
) {
    for (queue, audience) in queues {
        queue.queue_broadcast(BroadcastJob {
            audience,
            except: except.cloned(),
            frame: frame.clone(),
            sum: Arc::clone(sum),
        });
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("connections", &self.len())
            .finish_non_exhaustive()
    }
}

impl Shard {
    fn start(
        bounds: Bounds,
        hasher: RandomState,
        context: &Arc<HubContext>,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        let shard = Arc::new(Self {
            index: Mutex::new(ShardIndex::new(hasher)),
            queue: ShardQueue::new(bounds),
        });
        let worker = Arc::clone(&shard);
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(async move { worker.queue.work().await }),
        );
        let sweep = keepalive::run(Arc::clone(&shard), Arc::clone(context));
        tokio::spawn(stop.clone().run_until_cancelled_owned(sweep));
        shard
    }
}
