//! The public methods of the hub.
//!
//! Owns nothing: each hands on to `core` or `multicast`, and wraps what they return for the application.

use std::sync::Arc;

use bytes::Bytes;
use tieline_websocket::{CloseCode, CloseFrame};
use tokio::task::JoinHandle;

use super::{
    content::{Cast, Content},
    core::{Hub, Presence},
    cork::Cork,
    except::Except,
    handle::Connection,
    index::{Place, ShardIndex},
    inner::ConnectionInner,
    members::Members,
    scope::{Hashed, Scope},
    shard::Shard,
    shedding,
    stats::HubStats,
};
use crate::{
    counts::Counts,
    deliveries::{Deliveries, DeliveriesBuilder},
    delivery::{Delivery, Reached},
    receipt::Receipt,
};

/// Finding connections.
impl Hub {
    /// The open connection with this id, if it is on this node.
    pub fn connection(&self, id: &str) -> Option<Connection> {
        let conn = self.find_open(&self.names().key(id))?;
        Some(self.handle(conn))
    }

    /// Whether a client with this id is connected to this node.
    pub fn online(&self, id: &str) -> bool {
        self.find_open(&self.names().key(id)).is_some()
    }

    /// The number of connections that were accepted and have not ended, closing ones included. In another
    /// [namespace](Self::namespace) than the default one, those that have left the hub, but whose task has not ended
    /// yet, are not counted.
    pub fn len(&self) -> usize {
        match self.names().everyone() {
            Scope::Everyone => self.admitted_by_default(),
            everyone => self.members_of(everyone),
        }
    }

    /// Whether there are no connections.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was counted since the hub began, and what waits for clients, in all namespaces. Cheap, a lock for each shard: for a
    /// health check or a page of metrics.
    ///
    /// ```
    /// # use tieline::{Config, Hub};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tieline::ConfigError> {
    /// let hub = Hub::new(Config::default())?;
    /// hub.emit("alice", "hello");
    /// let stats = hub.stats();
    /// assert_eq!((stats.opened, stats.ended.total()), (0, 0));
    /// assert_eq!(stats.deliveries.offline, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> HubStats {
        let budget = &self.inner.context.rules.budget;
        let (slow_consumers, shed) = budget.closed();
        let counters = self.inner.context.counters();
        let (traffic, deliveries) = counters.traffic();
        let mut stats = HubStats {
            connections: self.admitted(),
            max_connections: self.inner.capacity,
            opened: counters.all_opened(),
            ended: counters.ends(),
            traffic,
            deliveries,
            waiting_bytes: budget.waiting(),
            max_waiting_bytes: budget.limit(),
            slow_consumers,
            shed,
            ..HubStats::default()
        };
        let shards = self.inner.shards.iter();
        shards.for_each(|shard| shard.queue.add_to(&mut stats));
        stats
    }

    /// How many bytes wait for the client for whom most waits, of what sockets did not take. Looks at every connection
    /// if anything waits: some milliseconds for 100,000 of them. For a page of metrics, not for every message.
    pub fn largest_outbox(&self) -> usize {
        if self.inner.context.rules.budget.waiting() == 0 {
            return 0;
        }
        shedding::largest(&self.inner.shards)
    }

    /// All open connections of this [namespace](Self::namespace), in no particular order. Takes time and memory proportional to their number.
    pub fn connections(&self) -> Vec<Connection> {
        self.handles(self.names().everyone())
    }

    /// The open connections of a user, in no particular order. Takes time and memory proportional to their
    /// number.
    pub fn user(&self, user: &str) -> Vec<Connection> {
        self.handles(Scope::User(&self.names().key(user)))
    }

    /// The open connections in a group, in no particular order. Takes time and memory proportional to their
    /// number.
    pub fn members(&self, group: &str) -> Vec<Connection> {
        self.handles(Scope::Group(&self.names().key(group)))
    }

    /// The users who have connections, each once, in no particular order. Takes time and memory
    /// proportional to their number in all namespaces.
    pub fn users(&self) -> Vec<Arc<str>> {
        self.all_names(ShardIndex::copy_users)
    }

    /// The groups that have members, each once, in no particular order. Takes time and memory proportional to
    /// their number in all namespaces.
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.all_names(ShardIndex::copy_groups)
    }

    /// The number of connections in a group, closing ones included. Takes no time that grows with it.
    pub fn group_len(&self, group: &str) -> usize {
        self.members_of(Scope::Group(&self.names().key(group)))
    }

    /// The number of connections of a user, closing ones included. Takes no time that grows with it.
    pub fn user_len(&self, user: &str) -> usize {
        self.members_of(Scope::User(&self.names().key(user)))
    }

    /// How many connections, users and groups there are. Takes time and memory proportional to the number of
    /// users and groups: for an operator's page, not for every message.
    pub fn counts(&self) -> Counts {
        Counts {
            connections: self.len() as u64,
            users: self.users().len() as u64,
            groups: self.groups().len() as u64,
        }
    }

    fn members_of(&self, scope: Scope<'_>) -> usize {
        let scope = Hashed::new(scope, &self.inner.hasher);
        let members = |shard: &Shard| shard.index.lock().members(scope).map_or(0, Members::len);
        self.shards_of(scope).map(members).sum()
    }

    /// Starts a task that a drain of the hub's node waits for, until
    /// [`Config::drain_timeout`](crate::Config::drain_timeout): for what goes on when whoever asked for it has left. In a
    /// cluster, it can still reach other nodes. It should have a deadline of its own, because nothing else ends it.
    ///
    /// ```
    /// use tieline::Hub;
    ///
    /// /// Tells everyone in a while, whatever becomes of the HTTP request that has asked for it.
    /// fn announce(hub: &Hub, text: String) {
    ///     let later = hub.clone();
    ///     hub.spawn(async move {
    ///         tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    ///         later.broadcast(text);
    ///     });
    /// }
    /// ```
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks().spawn(future)
    }

    /// Names of this namespace that the shards have, each once.
    fn all_names(
        &self,
        copy: fn(&ShardIndex, usize, &mut Vec<Arc<str>>) -> Option<usize>,
    ) -> Vec<Arc<str>> {
        let (mut names, mut keys) = (Vec::new(), Vec::new());
        for shard in &self.inner.shards {
            let mut next = Some(0);
            while let Some(part) = next {
                next = copy(&shard.index.lock(), part, &mut keys);
                names.extend(keys.drain(..).filter_map(|key| self.names().name_of(&key)));
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// All open connections, of all namespaces.
    pub(crate) fn all_connections(&self) -> Vec<Connection> {
        let mut conns = Vec::new();
        for shard in &self.inner.shards {
            let mut next = Some(Place::START);
            while let Some(place) = next {
                next = shard.index.lock().copy_connections(place, &mut conns);
            }
        }
        self.open(conns)
    }

    fn handles(&self, scope: Scope<'_>) -> Vec<Connection> {
        let (scope, mut conns) = (Hashed::new(scope, &self.inner.hasher), Vec::new());
        for shard in self.shards_of(scope) {
            let mut next = Some(0);
            while let Some(part) = next {
                next = shard.index.lock().copy_slice(scope, part, &mut conns);
            }
        }
        self.open(conns)
    }

    fn open(&self, conns: Vec<Arc<ConnectionInner>>) -> Vec<Connection> {
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
        self.emit_cast(&self.names().key(id), content.into().into_unicast())
    }

    /// Sends to the client with this key.
    pub(crate) fn emit_cast(&self, id: &str, cast: Cast) -> Receipt {
        match self.presence(id) {
            Presence::Here(conn) => self.emit_to(&conn, cast),
            #[cfg(feature = "cluster")]
            Presence::Claimed => self.emit_when_admitted(id, cast),
            Presence::Absent => {
                self.inner
                    .context
                    .counters()
                    .deliveries(Delivery::Offline, 1);
                Receipt::decided(Delivery::Offline)
            }
        }
    }

    /// Sends to many clients by their ids, as [`emit`](Self::emit) to each of them: with the same outcomes, in the
    /// same order. A frame is encoded once, and a note rendered once for each dialect. An id that is given twice
    /// gets the message twice.
    pub fn emit_many<I>(&self, ids: I, content: impl Into<Content>) -> Receipt<Deliveries>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let cast = content.into().into_unicast();
        let mut builder = DeliveriesBuilder::default();
        for id in ids {
            let id = id.as_ref();
            builder.add(id, self.emit_cast(&self.names().key(id), cast.clone()));
        }
        builder.finish()
    }

    /// Sends to every connection of a user.
    pub fn emit_user(&self, user: &str, content: impl Into<Content>) -> Receipt<Reached> {
        self.multicast(Scope::User(&self.names().key(user)), None, content.into())
    }

    /// Sends to every connection in a group.
    pub fn emit_group(&self, group: &str, content: impl Into<Content>) -> Receipt<Reached> {
        self.multicast(Scope::Group(&self.names().key(group)), None, content.into())
    }

    /// Sends to every connection of this [namespace](Self::namespace), including the sender's.
    pub fn broadcast(&self, content: impl Into<Content>) -> Receipt<Reached> {
        self.multicast(self.names().everyone(), None, content.into())
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
        let keys = ids
            .into_iter()
            .map(|id| self.names().key(id.as_ref()).into());
        Except::new(self, keys.collect())
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

    /// Holds back what this thread sends until the cork is dropped; then it leaves, with one write for each
    /// client. Without it, each `emit` outside a callback is a write of its own. In a callback it changes
    /// nothing: all that a callback sends leaves when it first waits, or ends.
    ///
    /// Order and outcomes are as without it. A client whose outbox is half full is written to at once. What
    /// goes to more than 32 receivers is delivered by other threads, which join what waits.
    ///
    /// It holds back every send of this thread, also those to other hubs, and so must not be held across an
    /// `await`. It is not `Send`, so a spawned task that tries does not compile; in a future that need not be
    /// `Send`, as in `block_on` or a `LocalSet`, only you can see to it.
    ///
    /// ```
    /// use tieline::Hub;
    ///
    /// fn publish(hub: &Hub, prices: &[(String, String)]) {
    ///     let _cork = hub.cork();
    ///     for (client, price) in prices {
    ///         hub.emit(client, price.clone());
    ///     }
    /// }
    /// ```
    ///
    /// ```compile_fail
    /// # fn publish(hub: tieline::Hub) {
    /// tokio::spawn(async move {
    ///     let _cork = hub.cork();
    ///     hub.emit("alice", "hello").await; // the cork is held across this `await`
    /// });
    /// # }
    /// ```
    pub fn cork(&self) -> Cork {
        Cork::new()
    }

    /// Closes every open connection of this [namespace](Self::namespace) with code 1001. Later connections are not affected; to stop a node, use
    /// [`Node::drain`](crate::Node::drain).
    pub fn close(&self) {
        let frame = CloseFrame::new(CloseCode::GOING_AWAY, "server shutting down");
        for connection in self.connections() {
            connection.close(frame.clone());
        }
    }
}
