//! What this node has in the registry, kept in step with what it holds.
//!
//! Owns the node's side of the registry protocol: [`ClaimTable`] decides, pure and tested step by step; the
//! rest sends what it decides (`pump`), keeps the lease and notices losses (`heart`), compares both
//! sides at a pace that leaves the registry alone (`reconciler`) and removes what dead nodes left
//! (`reaper`). Must not know how a registry keeps its entries, nor links: what it needs of the cluster
//! is [`RegistrarHost`]. Invariant: whatever is lost on the way, what the registry has for this node
//! becomes what this node holds.

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
    ClientId, NodeSession, Registry, RegistryError, Stamp, claim_table::ClaimTable,
};
use tokio::{
    sync::{Notify, Semaphore, oneshot, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

pub(crate) use self::clock::LocalInstant;
use self::{clock::ClusterClock, reconcile::Reconciler};
use crate::hub::ConnectionInner;

/// How long an upgrade waits for the registry's verdict. Later verdicts still hold: a connection that
/// turns out to be the older one is closed then.
const VERDICT: Duration = Duration::from_millis(250);

/// Batches under way at once. One keeps the registry busy while the next is gathered; more help where
/// its answers take long.
const IN_FLIGHT: usize = 4;

/// What the claims need of the cluster.
pub(crate) trait RegistrarHost: Send + Sync + 'static {
    /// Another node was displaced: it is to ask whether it still has this id.
    fn evict(&self, node: &str, id: ClientId);
    /// The registry has given this connection's id to another.
    fn refused(&self, connection: &Arc<ConnectionInner>);
    /// Does something while this connection has its id at this node; false where it has lost it, to a
    /// newer one or by its end.
    fn with_current(&self, connection: &Arc<ConnectionInner>, f: impl FnOnce()) -> bool;
    /// Which process answers at this node's own advertised address.
    fn probe(&self) -> impl Future<Output = Option<Uuid>> + Send;
}

/// Who this node is to the registry, and how often it speaks to it.
#[derive(Debug, Clone)]
pub(crate) struct RegistrarConfig {
    pub(crate) address: Arc<str>,
    pub(crate) process: Uuid,
    pub(crate) lease: Duration,
    pub(crate) audit: Duration,
    pub(crate) timeout: Duration,
}

/// How this node stands with the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answers.
    Up,
    /// It does not answer.
    Down,
    /// Another process holds this node's address.
    Conflict(Uuid),
}

/// What became of the claim of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Granted,
    /// A newer connection, or one that may not be displaced, has the id.
    Taken,
    /// The registry has not said; the claim goes on.
    Undecided,
    /// No new connections: another process holds this node's address.
    Conflict,
}

/// The claims of this node. Cheap to clone.
pub(crate) struct Registrar<S>(Arc<Inner<S>>);

struct Inner<S> {
    registry: Arc<dyn Registry>,
    config: RegistrarConfig,
    host: Weak<S>,
    clock: ClusterClock,
    table: Mutex<ClaimTable<Arc<ConnectionInner>>>,
    /// Upgrades that wait for a verdict, by stamp.
    waiting: Mutex<HashMap<Stamp, oneshot::Sender<bool>>>,
    session: Mutex<Option<NodeSession>>,
    health: watch::Sender<Health>,
    /// When the last beat was answered, and when a lease was lost last.
    renewed: watch::Sender<Instant>,
    lost: Mutex<Option<Instant>>,
    in_flight: Arc<Semaphore>,
    /// Something urgent waits.
    wake_sender: Notify,
    /// The heart is to beat now.
    renew_now: Notify,
    reconciler: Reconciler,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl<S: RegistrarHost> Registrar<S> {
    /// Joins the registry and begins to serve it. Fails if the registry cannot be reached; where
    /// another process holds the address, it starts in conflict and tries again.
    pub(crate) async fn start(
        registry: Arc<dyn Registry>,
        config: RegistrarConfig,
        host: Weak<S>,
    ) -> Result<Self, RegistryError> {
        let registrar = Self(Arc::new(Inner {
            registry,
            config,
            host,
            clock: ClusterClock::default(),
            table: Mutex::default(),
            waiting: Mutex::default(),
            session: Mutex::default(),
            health: watch::Sender::new(Health::Down),
            renewed: watch::Sender::new(Instant::now()),
            lost: Mutex::default(),
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

    /// Claims the id of a connection that the hub has admitted, and waits a moment for the verdict.
    /// Cancel-safe: the claim goes on, and ends with the connection.
    pub(crate) async fn connect(
        &self,
        conn: &Arc<ConnectionInner>,
        arrival: LocalInstant,
        exclusive: bool,
    ) -> Verdict {
        let inner = &*self.0;
        let deadline = Instant::now() + VERDICT;
        self.renew_if_overdue(deadline).await;
        if matches!(*inner.health.borrow(), Health::Conflict(_)) {
            return Verdict::Conflict;
        }
        let stamp = inner.clock.stamp(arrival);
        let (sender, verdict) = oneshot::channel();
        inner.waiting.lock().insert(stamp, sender);
        let _forget = Forget(&inner.waiting, stamp);
        let connect = || {
            let connection = Arc::clone(conn);
            let mut table = inner.table.lock();
            table.connect(&conn.id, stamp, connection, exclusive);
        };
        // Others of its id may have come since it was admitted, above all while a beat was made up:
        // the one that the hub holds is the one to claim, in whatever order they get here.
        let cluster = inner.host.upgrade();
        if !cluster.is_some_and(|cluster| cluster.with_current(conn, connect)) {
            return Verdict::Undecided;
        }
        inner.wake_sender.notify_one();
        let mut health = inner.health.subscribe();
        tokio::select! {
            biased;
            Ok(granted) = verdict => if granted { Verdict::Granted } else { Verdict::Taken },
            _ = health.wait_for(|health| *health != Health::Up) => Verdict::Undecided,
            () = tokio::time::sleep_until(deadline) => Verdict::Undecided,
        }
    }

    /// A connection has left the hub.
    pub(crate) fn disconnect(&self, conn: &Arc<ConnectionInner>) {
        let is_it = |other: &Arc<ConnectionInner>| Arc::ptr_eq(other, conn);
        self.0.table.lock().disconnect(&conn.id, is_it);
        self.0.wake_sender.notify_one();
    }

    /// Another node says that it was granted these ids.
    pub(crate) fn evicted<'a>(&self, ids: impl Iterator<Item = &'a str>) {
        let mut table = self.0.table.lock();
        ids.for_each(|id| table.evicted(id));
        drop(table);
        self.0.wake_sender.notify_one();
    }

    /// A peer looked for a client here who is not: if the registry sent it here, it is wrong. Where more
    /// waits than the registry can be told of at once, the next comparison finds it too: strangers'
    /// questions must not pile up here.
    pub(crate) fn missed(&self, id: &str) {
        let mut table = self.0.table.lock();
        if let Ok(id) = ClientId::new(id)
            && table.is_joined()
            && table.paced() < claim_sender::MAX_BATCH
        {
            table.sweep([id]);
            self.0.reconciler.wake();
        }
    }

    /// How this node stands with the registry.
    pub(crate) fn health(&self) -> Health {
        self.0.health.borrow().clone()
    }

    /// How many entries this node believes to have.
    pub(crate) fn entries(&self) -> u64 {
        self.0.table.lock().mine()
    }

    /// Entries of the shared layout less those that Tieline wrote, as last heard; `None` where the
    /// registry does not tell.
    pub(crate) fn foreign(&self) -> Option<i64> {
        self.0.reconciler.balance()
    }

    /// Whether entries of ours may be missing, because the lease was lost within the last lease.
    pub(crate) fn lost_lately(&self) -> bool {
        let lost = *self.0.lost.lock();
        lost.is_some_and(|at| at.elapsed() < self.0.config.lease)
    }

    /// The end of a node whose connections are gone: waits until everything is released, leaves the
    /// registry, and stops. Gives up at the deadline: the lease then runs out by itself.
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
                tracing::warn!(error = %crate::cluster::chain(&error), "could not leave the registry; the lease will run out");
            }
        };
        let _ = tokio::time::timeout_at(deadline, leaving).await;
        self.stop();
        inner.tasks.wait().await;
    }

    /// Stops at once; entries stay until the lease runs out.
    pub(crate) fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
    }
}

/// An upgrade that waits no more.
struct Forget<'a>(&'a Mutex<HashMap<Stamp, oneshot::Sender<bool>>>, Stamp);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

impl<S> Clone for Registrar<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for Registrar<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("terms", &self.0.config)
            .finish_non_exhaustive()
    }
}
