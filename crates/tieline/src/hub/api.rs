//! The public methods of the hub.
//!
//! Owns the start of a hub. Everything else hands on to `core`, and wraps what it returns for the
//! application.

use std::{hash::RandomState, sync::Arc, sync::atomic::AtomicUsize};

use bytes::Bytes;
use tieline_websocket::{CloseCode, CloseFrame};
use tokio_util::sync::CancellationToken;

use super::{
    broadcast::Bounds,
    content::Content,
    context::HubContext,
    core::{Compile, Hub, HubInner, Presence},
    dialect::{DialectId, Dialects},
    except::Except,
    flusher,
    handle::Connection,
    inner::ConnectionInner,
    keepalive,
    language::{FilterLanguage, compiler},
    scope::{Hashed, Scope},
    shard::{MAX_SHARDS, Shard},
    shard_map::ShardMaps,
    shedding,
    stats::HubStats,
};
use crate::{
    config::{Config, ConfigError},
    delivery::{Delivery, Reached},
    receipt::Receipt,
};

/// Starting.
impl Hub {
    /// Starts a hub. It spawns two tasks per shard on the current tokio runtime, for broadcasts and for
    /// keepalive pings, one per worker thread that flushes what was sent to many, and one that closes the
    /// slowest clients if too much waits. They end when the last clone of the hub and its last connection
    /// are gone.
    ///
    /// # Errors
    /// If the settings contradict each other; see [`Config::validate`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Self::with_dialects(config, Dialects::new())
    }

    /// As [`new`](Self::new), for clients that read in several dialects.
    ///
    /// # Errors
    /// If the settings contradict each other; see [`Config::validate`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn with_dialects(config: Config, dialects: Dialects) -> Result<Self, ConfigError> {
        Self::start(config, dialects, None)
    }

    /// As [`with_dialects`](Self::with_dialects), with a language for filters; see [`Hub::matching`].
    ///
    /// # Errors
    /// If the settings contradict each other; see [`Config::validate`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn with_filters(
        config: Config,
        dialects: Dialects,
        language: impl FilterLanguage,
    ) -> Result<Self, ConfigError> {
        Self::start(config, dialects, Some(compiler(language)))
    }

    fn start(
        config: Config,
        dialects: Dialects,
        compile: Option<Compile>,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let available = || std::thread::available_parallelism().map_or(1, usize::from);
        let shards = config.shards.unwrap_or_else(available).min(MAX_SHARDS);
        let capacity = config.capacity();
        let bounds = Bounds {
            bytes: config.broadcast_queue_bytes,
            frames: config.broadcast_queue_frames,
        };
        let context = Arc::new(HubContext::new(config, dialects));
        let (stop, hasher) = (CancellationToken::new(), RandomState::new());
        flusher::start(&context.ticks, &stop);
        let maps = ShardMaps::new(shards);
        let start = |number| {
            let shard = Arc::new(Shard::new(number, &maps, hasher.clone(), bounds));
            spawn_tasks(&shard, &context, &stop);
            shard
        };
        let shards: Box<[_]> = (0..shards).map(start).collect();
        let shedding = shedding::run(shards.to_vec(), Arc::clone(&context));
        tokio::spawn(stop.clone().run_until_cancelled_owned(shedding));
        Ok(Self(Arc::new(HubInner {
            compile,
            shards,
            maps,
            hasher,
            context,
            capacity,
            connections: AtomicUsize::new(0),
            #[cfg(feature = "cluster")]
            claimants: AtomicUsize::new(0),
            _workers: stop.drop_guard(),
        })))
    }

    pub(crate) fn has_dialect(&self, dialect: DialectId) -> bool {
        self.0.context.dialects.contains(dialect)
    }

    /// The settings that it was started with.
    pub fn config(&self) -> &Config {
        &self.0.context.config
    }
}

fn spawn_tasks(shard: &Arc<Shard>, context: &Arc<HubContext>, stop: &CancellationToken) {
    let worker = Arc::clone(shard);
    let worker = async move { worker.run_worker().await };
    tokio::spawn(stop.clone().run_until_cancelled_owned(worker));
    let keepalive = keepalive::run(Arc::clone(shard), Arc::clone(context));
    tokio::spawn(stop.clone().run_until_cancelled_owned(keepalive));
}

/// Finding connections.
impl Hub {
    /// The open connection with this id, if it is on this node.
    pub fn connection(&self, id: &str) -> Option<Connection> {
        self.find_open(id).map(|conn| self.handle(conn))
    }

    /// Whether a client with this id is connected to this node.
    pub fn online(&self, id: &str) -> bool {
        self.find_open(id).is_some()
    }

    /// The number of connections that were accepted and have not ended, closing ones included.
    pub fn len(&self) -> usize {
        self.admitted()
    }

    /// Whether there are no connections.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What waits for clients, and how many were closed because they read too slowly. Cheap: for a health
    /// check or a metric.
    pub fn stats(&self) -> HubStats {
        let budget = &self.0.context.rules.budget;
        let (slow_consumers, shed) = budget.closed();
        HubStats {
            connections: self.admitted(),
            waiting_bytes: budget.waiting(),
            max_waiting_bytes: budget.limit(),
            slow_consumers,
            shed,
        }
    }

    /// All open connections, in no particular order. Takes time and memory proportional to their number.
    pub fn connections(&self) -> Vec<Connection> {
        self.handles(Scope::Everyone)
    }

    /// The open connections of a user, in no particular order. Takes time and memory proportional to their
    /// number.
    pub fn user(&self, user: &str) -> Vec<Connection> {
        self.handles(Scope::User(user))
    }

    /// The open connections in a group, in no particular order. Takes time and memory proportional to their
    /// number.
    pub fn members(&self, group: &str) -> Vec<Connection> {
        self.handles(Scope::Group(group))
    }

    /// The users who have connections, each once, in no particular order. Takes time and memory
    /// proportional to their number.
    pub fn users(&self) -> Vec<Arc<str>> {
        let mut users = Vec::new();
        for shard in &self.0.shards {
            let mut next = Some(0);
            while let Some(part) = next {
                next = shard.index.lock().copy_users(part, &mut users);
            }
        }
        users.sort_unstable();
        users.dedup();
        users
    }

    pub(crate) fn handle(&self, conn: Arc<ConnectionInner>) -> Connection {
        Connection::new(self.clone(), conn)
    }

    fn handles(&self, scope: Scope<'_>) -> Vec<Connection> {
        let (scope, mut conns) = (Hashed::new(scope, &self.0.hasher), Vec::new());
        for shard in self.shards_of(scope) {
            let mut next = Some(0);
            while let Some(part) = next {
                next = shard.index.lock().copy_slice(scope, part, &mut conns);
            }
        }
        let open = conns.into_iter().filter(|conn| !conn.is_close_requested());
        open.map(|conn| self.handle(conn)).collect()
    }
}

/// Sending and closing.
impl Hub {
    /// Sends to the client with this id. [`Delivery::Offline`] if it is not on this node. If its connection
    /// waits for the cluster's registry to grant the id, the message waits with it, and is in its outbox
    /// before anything that is sent after the upgrade.
    pub fn emit(&self, id: &str, content: impl Into<Content>) -> Receipt {
        match self.presence(id) {
            Presence::Here(conn) => self.emit_to(&conn, content.into().into_unicast()),
            #[cfg(feature = "cluster")]
            Presence::Claimed => self.emit_when_admitted(id, content.into().into_unicast()),
            Presence::Absent => Receipt::decided(Delivery::Offline),
        }
    }

    /// Sends to every connection of a user.
    pub fn emit_user(&self, user: &str, content: impl Into<Content>) -> Receipt<Reached> {
        self.multicast(Scope::User(user), None, content.into())
    }

    /// Sends to every connection in a group.
    pub fn emit_group(&self, group: &str, content: impl Into<Content>) -> Receipt<Reached> {
        self.multicast(Scope::Group(group), None, content.into())
    }

    /// Sends to every connection, including the sender's.
    pub fn broadcast(&self, content: impl Into<Content>) -> Receipt<Reached> {
        self.multicast(Scope::Everyone, None, content.into())
    }

    /// The same hub, but what is sent to a user, a group or everyone skips some client ids.
    ///
    /// ```
    /// # use tieline::{Config, Hub};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tieline::ConfigError> {
    /// let hub = Hub::new(Config::default())?;
    /// let reached = hub.except(["alice"]).emit_group("room", "hello, all but Alice").await;
    /// assert_eq!(reached.delivered, 0); // the room is empty
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

    /// The same hub, but what is sent to a user, a group or everyone reaches only connections that a filter
    /// admits. The filter is read by the language with which the hub was started
    /// ([`Hub::with_filters`]); if it cannot be read, nobody gets the message, and
    /// [`Reached::filter_refused`] says so. It is asked when the message is delivered: about groups as they are
    /// then.
    ///
    /// ```
    /// # use tieline::{Config, Hub};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tieline::ConfigError> {
    /// let hub = Hub::new(Config::default())?;
    /// // This hub has no language.
    /// let reached = hub.matching("userId eq 'ada'").emit_group("room", "hello").await;
    /// assert!(reached.filter_refused);
    /// # Ok(())
    /// # }
    /// ```
    pub fn matching(&self, filter: impl Into<Bytes>) -> Except<'_> {
        Except::new(self, Arc::default()).matching(filter)
    }

    /// Closes every open connection with code 1001. Later connections are not affected; to stop a node, use
    /// [`Node::drain`](crate::Node::drain).
    pub fn close(&self) {
        let frame = CloseFrame::new(CloseCode::GOING_AWAY, "server shutting down");
        for connection in self.connections() {
            connection.close(frame.clone());
        }
    }
}
