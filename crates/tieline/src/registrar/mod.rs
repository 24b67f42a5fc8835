//! Keeps what the registry has for this node equal to what this node holds.
//!
//! Owns the node's side of the registry protocol. The pure state machine
//! [`ClaimTable`](tieline_registry::claim_table::ClaimTable) decides; this module acts:
//!
//! | file | does |
//! |---|---|
//! | `lease` | joins, renews the lease, detects outages and lost sessions |
//! | `claim_sender` | sends urgent claims and releases, and applies the replies |
//! | `reconcile` | compares both sides, slowly: audit and sweep |
//! | `reaper` | removes the entries of expired nodes |
//! | `clock` | gives the stamps |
//!
//! Must not know how a registry stores its entries, nor links: what it needs of the cluster is
//! [`RegistrarHost`]. Invariant: whatever message is lost, the registry's entries for this node become
//! the connections of this node.

mod claim_sender;
mod clock;
mod lease;
mod reaper;
mod reconcile;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tieline_registry::{
    ClientId, NodeSession, Registry, RegistryError, Stamp,
    claim_table::{ClaimTable, Lane},
};
use tokio::{
    sync::{Notify, Semaphore, oneshot, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

pub(crate) use self::clock::LocalInstant;
use self::{claim_sender::MAX_BATCH, clock::ClusterClock, reconcile::Reconciler};
use crate::hub::ConnectionInner;

/// How long an upgrade waits for the decision on its claim. A later decision still counts: a connection
/// that turns out to be the older one is closed then.
const DECISION_TIMEOUT: Duration = Duration::from_millis(250);

/// Batches in flight at once. With one, the registry would idle while a reply travels; each further one
/// helps where the round trip is long.
const IN_FLIGHT: usize = 4;

/// What the registrar needs of the cluster.
pub(crate) trait RegistrarHost: Send + Sync + 'static {
    /// Asks another node to check whether it still has this id: a claim of this node displaced it.
    fn evict(&self, node: &str, id: ClientId);
    /// The registry has given this connection's id to another connection.
    fn on_refused(&self, connection: &Arc<ConnectionInner>);
    /// Runs `f` while this connection has its id at this node. False if it has lost the id to a newer
    /// connection, or has ended.
    fn with_current(&self, connection: &Arc<ConnectionInner>, f: impl FnOnce()) -> bool;
    /// The process that answers at this node's own advertised address.
    fn probe(&self) -> impl Future<Output = Option<Uuid>> + Send;
}

/// The node's identity in the registry, and its intervals.
#[derive(Debug, Clone)]
pub(crate) struct RegistrarConfig {
    pub(crate) address: Arc<str>,
    pub(crate) process: Uuid,
    pub(crate) lease: Duration,
    pub(crate) audit_interval: Duration,
    /// Of each request to the registry.
    pub(crate) timeout: Duration,
}

/// Whether this node can register connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// The registry responds.
    Up,
    /// The registry does not respond.
    Down,
    /// Another process holds this node's address.
    Conflict(Uuid),
}

/// The decision on the claim of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimDecision {
    Granted,
    /// A newer connection has the id, or one that must not be displaced.
    Taken,
    /// The registry has not answered yet; the claim continues.
    Undecided,
    /// Another process holds this node's address: the node accepts no connections.
    Conflict,
}

/// The registrar of one node. Cheap to clone.
pub(crate) struct Registrar<H>(Arc<Inner<H>>);

struct Inner<H> {
    registry: Arc<dyn Registry>,
    config: RegistrarConfig,
    host: Weak<H>,
    clock: ClusterClock,
    table: Mutex<ClaimTable<Arc<ConnectionInner>>>,
    /// Upgrades that wait for a decision, by the stamp of their connection.
    pending_upgrades: Mutex<HashMap<Stamp, oneshot::Sender<bool>>>,
    /// The latest session; it stays when it is lost, so that the next join can continue it.
    session: Mutex<Option<NodeSession>>,
    health: watch::Sender<Health>,
    /// When the registry last confirmed the lease.
    last_renewal: watch::Sender<Instant>,
    /// When the registry last reported that the session is lost.
    lost_at: Mutex<Option<Instant>>,
    in_flight: Arc<Semaphore>,
    /// Wakes the claim sender: something urgent is queued.
    wake_sender: Notify,
    /// Renews the lease before its interval has passed.
    renew_now: Notify,
    reconciler: Reconciler,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Start and end.
impl<H: RegistrarHost> Registrar<H> {
    /// Joins the registry and starts the registrar's tasks. Fails if the registry cannot be reached. If
    /// another process holds the address, the registrar starts in conflict and keeps trying.
    pub(crate) async fn start(
        registry: Arc<dyn Registry>,
        config: RegistrarConfig,
        host: Weak<H>,
    ) -> Result<Self, RegistryError> {
        let registrar = Self(Arc::new(Inner {
            registry,
            config,
            host,
            clock: ClusterClock::default(),
            table: Mutex::default(),
            pending_upgrades: Mutex::default(),
            session: Mutex::default(),
            health: watch::Sender::new(Health::Down),
            last_renewal: watch::Sender::new(Instant::now()),
            lost_at: Mutex::default(),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT)),
            wake_sender: Notify::new(),
            renew_now: Notify::new(),
            reconciler: Reconciler::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }));
        registrar.join().await?;
        registrar.spawn(lease::run(registrar.clone()));
        registrar.spawn(claim_sender::run(registrar.clone()));
        registrar.spawn(reconcile::run(registrar.clone()));
        registrar.spawn(reaper::run(registrar.clone()));
        Ok(registrar)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(stop.run_until_cancelled_owned(task));
    }

    /// Ends a node whose connections are gone: waits until everything is released, leaves the
    /// registry, and stops. At the deadline it stops all the same; the lease then expires.
    pub(crate) async fn leave(&self, deadline: Instant) {
        let inner = &*self.0;
        let leaving = async {
            while !inner.table.lock().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let session = inner.session.lock().clone();
            if let Some(session) = session
                && let Err(error) = inner.registry.leave(&session).await
            {
                tracing::warn!(error = %crate::cluster::chain(&error), "failed to leave the registry; the lease will expire");
            }
        };
        let _ = tokio::time::timeout_at(deadline, leaving).await;
        self.stop();
        inner.tasks.wait().await;
    }

    /// Stops at once; entries stay until the lease expires.
    pub(crate) fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
    }
}

/// Events of the node.
impl<H: RegistrarHost> Registrar<H> {
    /// Claims the id of a connection that the hub has admitted, and waits up to [`DECISION_TIMEOUT`]
    /// for the decision. Cancel-safe: the claim continues, and ends with the connection.
    pub(crate) async fn connect(
        &self,
        conn: &Arc<ConnectionInner>,
        arrival: LocalInstant,
        exclusive: bool,
    ) -> ClaimDecision {
        let inner = &*self.0;
        let deadline = Instant::now() + DECISION_TIMEOUT;
        self.renew_if_overdue(deadline).await;
        if matches!(*inner.health.borrow(), Health::Conflict(_)) {
            return ClaimDecision::Conflict;
        }
        let stamp = inner.clock.stamp(arrival);
        let (sender, decision) = oneshot::channel();
        inner.pending_upgrades.lock().insert(stamp, sender);
        let _guard = PendingUpgrade(&inner.pending_upgrades, stamp);
        let connect = || {
            let connection = Arc::clone(conn);
            let mut table = inner.table.lock();
            table.connect(&conn.id, stamp, connection, exclusive);
        };
        // Newer connections with this id may have been admitted meanwhile, above all during an overdue
        // renewal. Only the one that the hub holds may be claimed, in whatever order they get here.
        let host = inner.host.upgrade();
        if !host.is_some_and(|host| host.with_current(conn, connect)) {
            return ClaimDecision::Undecided;
        }
        inner.wake_sender.notify_one();
        let mut health = inner.health.subscribe();
        tokio::select! {
            biased;
            Ok(granted) = decision => if granted { ClaimDecision::Granted } else { ClaimDecision::Taken },
            _ = health.wait_for(|health| *health != Health::Up) => ClaimDecision::Undecided,
            () = tokio::time::sleep_until(deadline) => ClaimDecision::Undecided,
        }
    }

    /// A connection has left the hub.
    pub(crate) fn disconnect(&self, conn: &Arc<ConnectionInner>) {
        let is_same = |other: &Arc<ConnectionInner>| Arc::ptr_eq(other, conn);
        self.0.table.lock().disconnect(&conn.id, is_same);
        self.0.wake_sender.notify_one();
    }

    /// Another node reports that it was granted these ids.
    pub(crate) fn on_evict<'a>(&self, ids: impl Iterator<Item = &'a str>) {
        let mut table = self.0.table.lock();
        ids.for_each(|id| table.recheck(id));
        drop(table);
        self.0.wake_sender.notify_one();
    }

    /// A peer looked here for a client that is not here: if the registry sent the peer, its entry is
    /// wrong. While a batch of such ids is queued, further ones are left to the next sweep, so that
    /// peers cannot fill the queue.
    pub(crate) fn on_missing_client(&self, id: &str) {
        let mut table = self.0.table.lock();
        if let Ok(id) = ClientId::new(id)
            && table.is_joined()
            && table.queue_len(Lane::Slow) < MAX_BATCH
        {
            table.sweep([id]);
            self.0.reconciler.wake();
        }
    }
}

/// State.
impl<H: RegistrarHost> Registrar<H> {
    /// Whether this node can register connections.
    pub(crate) fn health(&self) -> Health {
        self.0.health.borrow().clone()
    }

    /// How many entries this node believes to have.
    pub(crate) fn entries(&self) -> u64 {
        self.0.table.lock().registered()
    }

    /// Entries of the shared layout minus those that Tieline wrote, as of the last renewal; `None` if
    /// the registry does not count them.
    pub(crate) fn foreign_balance(&self) -> Option<i64> {
        self.0.reconciler.foreign_balance()
    }

    /// Whether entries of this node may be missing, because its session was lost within the last lease.
    pub(crate) fn lost_session_recently(&self) -> bool {
        let lost_at = *self.0.lost_at.lock();
        lost_at.is_some_and(|at| at.elapsed() < self.0.config.lease)
    }
}

/// Removes an upgrade that no longer waits.
struct PendingUpgrade<'a>(&'a Mutex<HashMap<Stamp, oneshot::Sender<bool>>>, Stamp);

impl Drop for PendingUpgrade<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

impl<H> Clone for Registrar<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H> fmt::Debug for Registrar<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrar")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}
