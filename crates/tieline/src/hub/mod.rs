//! The connections of this node, and how to reach them.
//!
//! Owns the index (`shard`), each connection's queue and socket (`member`, `egress`, `outbox`), the order
//! of messages to one and to many (`broadcast`), the flush at the end of a turn (`turn`) and the
//! keepalive (`sweeper`). Must not know handlers, HTTP, registries or other nodes. Invariants: an id
//! names at most one connection; a message to many reaches exactly those who were there when it was
//! sent; what one task sends to one client arrives in the order of the calls.

mod admission;
mod broadcast;
mod drive;
mod egress;
mod except;
mod groups;
mod handle;
mod member;
mod outbox;
mod rules;
mod shard;
mod sweeper;
mod turn;
mod watch;

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, atomic::AtomicUsize},
};

use parking_lot::Mutex;
use tieline_websocket::{CloseCode, CloseFrame, Frame};
use tokio_util::sync::{CancellationToken, DropGuard};

#[cfg(feature = "bench")]
pub(crate) use self::outbox::Outbox;
#[cfg(feature = "cluster")]
pub(crate) use self::watch::{Crowd, Watch};
pub(crate) use self::{
    admission::{Admission, AdmissionError},
    broadcast::Except as ExceptIds,
    member::{Greeting, Member, Names},
    shard::Scope,
    turn::Turn,
};
use self::{
    broadcast::{Bounds, Post, Queue},
    rules::Rules,
    shard::{Audience, Shard},
};
pub use self::{
    except::Except,
    handle::{Connection, JoinError},
};
use crate::{CloseReason, Config, ConfigError, Reached, Receipt, receipt::Tally};

/// The connections of this node. Cheap to clone; all clones are the same hub.
///
/// `emit` and its kin enqueue when they are called and return a [`Receipt`], which may be awaited,
/// spawned or dropped.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    parts: Box<[Arc<Part>]>,
    hasher: RandomState,
    rules: Arc<Rules>,
    capacity: usize,
    /// Admitted connections whose task has not ended.
    sockets: AtomicUsize,
    _workers: DropGuard,
}

/// What a member's number for its shard can say.
const MOST_SHARDS: usize = u16::MAX as usize;

/// A shard with its queue.
struct Part {
    index: Mutex<Shard>,
    queue: Queue,
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
        let rules = Arc::new(Rules::new(config));
        let (stop, hasher) = (CancellationToken::new(), RandomState::new());
        let parts = (0..shards)
            .map(|_| Part::start(bounds, hasher.clone(), &rules, &stop))
            .collect();
        Ok(Self(Arc::new(Inner {
            parts,
            hasher,
            rules,
            capacity,
            sockets: AtomicUsize::new(0),
            _workers: stop.drop_guard(),
        })))
    }

    /// The connection with this id, if it is here and open.
    pub fn connection(&self, id: &str) -> Option<Connection> {
        let member = self.find(id)?;
        (!member.is_leaving()).then(|| self.handle(member))
    }

    /// Whether a client is here.
    pub fn online(&self, id: &str) -> bool {
        self.find(id).is_some_and(|member| !member.is_leaving())
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
            .parts
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
            Some(member) => self.emit_to(&member, frame.into()),
            None => Receipt::decided(crate::Delivery::Offline),
        }
    }

    /// Sends to every connection of a user.
    pub fn emit_user(&self, user: &str, frame: impl Into<Frame>) -> Receipt<Reached> {
        self.post(Scope::User(user), None, &frame.into())
    }

    /// Sends to every connection in a group.
    pub fn emit_group(&self, group: &str, frame: impl Into<Frame>) -> Receipt<Reached> {
        self.post(Scope::Group(group), None, &frame.into())
    }

    /// Sends to every connection, the sender's included.
    pub fn broadcast(&self, frame: impl Into<Frame>) -> Receipt<Reached> {
        self.post(Scope::Everyone, None, &frame.into())
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
        &self.0.rules.config
    }

    /// Closes a connection, behind what was sent to it before.
    pub(crate) fn close_member(&self, member: &Arc<Member>, reason: CloseReason) {
        self.part(member).queue.close(member, reason);
    }

    /// Tells someone what changes from here on; false if someone is told already.
    #[cfg(feature = "cluster")]
    pub(crate) fn watch(&self, watch: &Arc<dyn Watch>) -> bool {
        let mut parts = self.0.parts.iter();
        parts.all(|part| part.index.lock().watch(Arc::clone(watch)))
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Member>> {
        // One hash names the shard and finds the member in it.
        let hash = self.0.hasher.hash_one(id);
        let part = &self.0.parts[self.shard_of(hash)];
        part.index.lock().find(hash, id)
    }

    /// Does something while a member has its id; false where another has it, or nobody. Comings and
    /// goings of that id wait, so the deed must not look into the hub.
    #[cfg(feature = "cluster")]
    pub(crate) fn while_held(&self, member: &Arc<Member>, deed: impl FnOnce()) -> bool {
        let index = self.part(member).index.lock();
        let held = index.holds(member);
        if held {
            deed();
        }
        held
    }

    /// The shard of an id with this hash: by the upper half, as the index of the shard goes by the lower.
    fn shard_of(&self, hash: u64) -> usize {
        (hash >> 32) as usize % self.0.parts.len()
    }

    fn part(&self, member: &Member) -> &Part {
        &self.0.parts[usize::from(member.shard)]
    }

    pub(crate) fn handle(&self, member: Arc<Member>) -> Connection {
        Connection::new(self.clone(), member)
    }

    fn gather(&self, scope: Scope<'_>) -> Vec<Connection> {
        let audiences = self
            .0
            .parts
            .iter()
            .filter_map(|part| part.index.lock().audience(scope));
        audiences
            .flat_map(|audience| audience.iter().map(Arc::clone).collect::<Vec<_>>())
            .filter(|member| !member.is_leaving())
            .map(|member| self.handle(member))
            .collect()
    }

    /// Sends to one connection: at once, or behind what still waits in its shard.
    pub(crate) fn emit_to(&self, member: &Arc<Member>, frame: Frame) -> Receipt {
        let part = self.part(member);
        if part.queue.is_idle() {
            return Receipt::decided(member.push(frame));
        }
        part.queue.post_one(member, frame)
    }

    /// Sends to a scope: at once where few are, else by a post to each shard that has someone in it.
    pub(crate) fn post(
        &self,
        scope: Scope<'_>,
        except: Option<&ExceptIds>,
        frame: &Frame,
    ) -> Receipt<Reached> {
        let (reached, posts) = self.deliver_or_keep(scope, except, frame);
        if posts.is_empty() {
            return Receipt::decided(reached);
        }
        let (tally, receipt) = Tally::new(posts.len(), reached);
        post_all(posts, except, frame, &tally);
        receipt
    }

    /// The same for someone who is told the outcome, now or later, and never where the hub ends first.
    #[cfg(feature = "cluster")]
    pub(crate) fn post_then(
        &self,
        scope: Scope<'_>,
        except: Option<&ExceptIds>,
        frame: &Frame,
        then: impl FnOnce(Reached) + Send + 'static,
    ) {
        let (reached, posts) = self.deliver_or_keep(scope, except, frame);
        if posts.is_empty() {
            return then(reached);
        }
        let tally = Tally::then(posts.len(), reached, Box::new(then));
        post_all(posts, except, frame, &tally);
    }

    /// Delivers to the shards where few are; the others' queues, with their audiences.
    fn deliver_or_keep(
        &self,
        scope: Scope<'_>,
        except: Option<&ExceptIds>,
        frame: &Frame,
    ) -> (Reached, Vec<(&Queue, Audience)>) {
        let mut reached = Reached::default();
        let mut posts = Vec::new();
        for part in &self.0.parts {
            let Some(audience) = part.index.lock().audience(scope) else {
                continue;
            };
            match part.queue.deliver_at_once(&audience, except, frame) {
                Some(part) => reached.add(part),
                None => posts.push((&part.queue, audience)),
            }
        }
        (reached, posts)
    }
}

fn post_all(
    posts: Vec<(&Queue, Audience)>,
    except: Option<&ExceptIds>,
    frame: &Frame,
    tally: &Arc<Tally>,
) {
    for (queue, audience) in posts {
        queue.post(Post {
            audience,
            except: except.cloned(),
            frame: frame.clone(),
            tally: Arc::clone(tally),
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

impl Part {
    fn start(
        bounds: Bounds,
        hasher: RandomState,
        rules: &Arc<Rules>,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        let part = Arc::new(Self {
            index: Mutex::new(Shard::new(hasher)),
            queue: Queue::new(bounds),
        });
        let worker = Arc::clone(&part);
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(async move { worker.queue.work().await }),
        );
        let sweep = sweeper::run(Arc::clone(&part), Arc::clone(rules));
        tokio::spawn(stop.clone().run_until_cancelled_owned(sweep));
        part
    }
}
