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

use tieline_websocket::Frame;
use tokio_util::sync::DropGuard;

use super::{
    broadcast::{BroadcastJob, ExcludedIds, ShardQueue},
    context::HubContext,
    index::{Audience, Scope},
    inner::ConnectionInner,
    shard::Shard,
};
use crate::{
    close::CloseReason,
    delivery::Reached,
    receipt::{OutcomeSum, Receipt},
};

/// The connections of this node. Cheap to clone; all clones are the same hub.
///
/// The methods that send (`emit`, `emit_user`, `emit_group`, `broadcast`) enqueue when they are called and
/// return a [`Receipt`], which may be awaited, spawned or dropped.
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

    pub(super) fn shard(&self, conn: &ConnectionInner) -> &Shard {
        &self.0.shards[usize::from(conn.shard)]
    }

    /// Closes a connection, behind what was sent to it before.
    pub(crate) fn close_connection(&self, conn: &Arc<ConnectionInner>, reason: CloseReason) {
        self.shard(conn).queue.close(conn, reason);
    }
}

/// Sending.
impl Hub {
    /// Sends to one connection: at once, or behind what is pending in its shard.
    pub(crate) fn emit_to(&self, conn: &Arc<ConnectionInner>, frame: Frame) -> Receipt {
        let shard = self.shard(conn);
        if shard.queue.is_idle() {
            return Receipt::decided(conn.send(frame));
        }
        shard.queue.queue_unicast(conn, frame)
    }

    /// Sends to a scope: inline in shards with few receivers, through the queues of the others.
    pub(crate) fn send_to_scope(
        &self,
        scope: Scope<'_>,
        except: Option<&ExcludedIds>,
        frame: &Frame,
    ) -> Receipt<Reached> {
        let (reached, queues) = self.send_inline(scope, except, frame);
        if queues.is_empty() {
            return Receipt::decided(reached);
        }
        let (sum, receipt) = OutcomeSum::new(queues.len(), reached);
        queue_all(queues, except, frame, &sum);
        receipt
    }

    /// As [`Hub::send_to_scope`], but calls `callback` with the outcome, now or later; never if the hub
    /// ends first.
    #[cfg(feature = "cluster")]
    pub(crate) fn send_with_callback(
        &self,
        scope: Scope<'_>,
        except: Option<&ExcludedIds>,
        frame: &Frame,
        callback: impl FnOnce(Reached) + Send + 'static,
    ) {
        let (reached, queues) = self.send_inline(scope, except, frame);
        if queues.is_empty() {
            return callback(reached);
        }
        let sum = OutcomeSum::with_callback(queues.len(), reached, Box::new(callback));
        queue_all(queues, except, frame, &sum);
    }

    /// Delivers in the shards with few receivers. Returns the other shards' queues, with their audiences.
    fn send_inline(
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
                Some(part) => reached.add(part),
                None => queues.push((&shard.queue, audience)),
            }
        }
        (reached, queues)
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
            .field("connections", &self.admitted())
            .finish_non_exhaustive()
    }
}
