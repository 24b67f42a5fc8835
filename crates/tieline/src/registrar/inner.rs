//! What the parts of the registrar share: the registry, the claim table, the session and the signals.
//!
//! Owns these fields, the configuration, and the types that the cluster sees. Must not know the parts.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tieline_registry::{
    ClientId, Epoch, NodeSession, Registry, RegistryError, Stamp, claim_table::ClaimTable,
};
use tokio::{
    sync::{Notify, Semaphore, oneshot, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    claim_counts::{ClaimCounts, ClaimTotals},
    clock::ClusterClock,
    reconciler::Reconciler,
};
use crate::hub::ConnectionInner;

/// Operations of one batch, at most.
pub(super) const MAX_BATCH: usize = 512;

/// Batches in flight at once. With one, the registry would idle while a reply travels; each further one
/// helps where the round trip is long.
const IN_FLIGHT: usize = 4;

/// What the registrar needs of the cluster.
pub(crate) trait RegistrarHost: Send + Sync + 'static {
    /// Asks another node to check whether it still has this id: a claim of this node displaced it.
    fn evict(&self, node: &str, id: ClientId);
    /// The registry has given this connection's id to another connection: refuses it, or closes it if it
    /// was admitted.
    fn on_refused(&self, connection: &Arc<ConnectionInner>);
    /// Runs `f` while this connection waits for its admission, the only one with its id. False if a newer
    /// connection has arrived, or it has ended.
    fn begin_claim(&self, connection: &Arc<ConnectionInner>, f: impl FnOnce()) -> bool;
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
    /// Peers advance it, too.
    pub(crate) clock: Arc<ClusterClock>,
    /// How long an upgrade waits for the decision on its claim.
    pub(crate) claim_timeout: Duration,
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
    /// A newer connection has the id, here or elsewhere, or one that must not be displaced.
    Taken,
    /// The registry has not answered yet; the claim continues.
    Undecided,
    /// Another process holds this node's address: the node accepts no connections.
    Conflict,
}

/// The registrar of one node. Cheap to clone.
pub(crate) struct Registrar<H>(pub(super) Arc<Inner<H>>);

pub(super) struct Inner<H> {
    pub(super) registry: Arc<dyn Registry>,
    pub(super) config: RegistrarConfig,
    pub(super) host: Weak<H>,
    pub(super) clock: Arc<ClusterClock>,
    pub(super) table: Mutex<ClaimTable<Arc<ConnectionInner>>>,
    /// Wakes the upgrades that wait for a decision, by the stamp of their connection.
    pub(super) pending_upgrades: Mutex<HashMap<Stamp, oneshot::Sender<bool>>>,
    /// The latest session; it stays when it is lost, so that the next join can continue it.
    pub(super) session: Mutex<Option<NodeSession>>,
    pub(super) health: watch::Sender<Health>,
    /// When the registry last confirmed the lease.
    pub(super) last_renewal: watch::Sender<Instant>,
    /// The registry's epoch, as of the last join or renewal.
    pub(super) epoch: Mutex<Epoch>,
    pub(super) in_flight: Arc<Semaphore>,
    /// Wakes the claim sender: something urgent is queued.
    pub(super) wake_sender: Notify,
    /// Renews the lease before its interval has passed.
    pub(super) renew_now: Notify,
    pub(super) reconciler: Reconciler,
    pub(super) stop: CancellationToken,
    pub(super) claims: ClaimCounts,
    pub(super) tasks: TaskTracker,
}

impl<H: RegistrarHost> Registrar<H> {
    pub(super) fn new(registry: Arc<dyn Registry>, config: RegistrarConfig, host: Weak<H>) -> Self {
        Self(Arc::new(Inner {
            registry,
            clock: Arc::clone(&config.clock),
            config,
            host,
            table: Mutex::default(),
            pending_upgrades: Mutex::default(),
            session: Mutex::default(),
            health: watch::Sender::new(Health::Down),
            last_renewal: watch::Sender::new(Instant::now()),
            epoch: Mutex::default(),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT)),
            wake_sender: Notify::new(),
            renew_now: Notify::new(),
            reconciler: Reconciler::default(),
            stop: CancellationToken::new(),
            claims: ClaimCounts::default(),
            tasks: TaskTracker::new(),
        }))
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

    /// What became of this node's claims.
    pub(crate) fn claims(&self) -> ClaimTotals {
        self.0.claims.totals()
    }

    /// Entries of the shared layout minus those that Tieline wrote, as of the last renewal; `None` if
    /// the registry does not count them.
    pub(crate) fn foreign_balance(&self) -> Option<i64> {
        self.0.reconciler.foreign_balance()
    }

    /// Awaits the registry within the configured timeout.
    pub(super) async fn with_timeout<T>(
        &self,
        operation: &str,
        reply: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        RegistryError::with_timeout(self.0.config.timeout, operation, reply).await
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
