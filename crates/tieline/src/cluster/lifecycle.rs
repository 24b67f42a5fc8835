//! The life of a cluster's node: start, watch over who is there, end.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tieline_registry::{ClientId, MemoryRegistry, Registry, RegistryError};
use tokio::{sync::Notify, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    Cluster, ClusterConfig, ClusterError, Inner, advertise, chain, inbound::NodeInbox,
    legacy_discovery, ordering::OrderingQueue, peers::Peers, routes::Routes,
};
use crate::{
    CloseReason, Config, Hub,
    hub::{ConnectionInner, HubObserver, ScopeKey},
    link::{self, Interest, PeerServer, Probed, proto},
    registrar::{ClaimDecision, Health, LocalInstant, Registrar, RegistrarConfig, RegistrarHost},
};

/// Pause before a registry that did not answer is asked for its members again.
const RETRY: Duration = Duration::from_millis(500);

/// How long a drain waits for what it still owes the registry and its peers, once its connections are
/// gone.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Cluster {
    /// A node of a cluster: joins the registry under its address, listens for peers and opens links to
    /// those that are there. To be called before the hub's first connection.
    ///
    /// Fails where the registry cannot be reached. Where another process holds the address, the node
    /// starts, takes no connections, and waits until the address is free.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(
        hub: Hub,
        registry: Arc<dyn Registry>,
        config: ClusterConfig,
    ) -> Result<Self, ClusterError> {
        config.validate(hub.config())?;
        config.security.validate(config.listen)?;
        if !hub.is_empty() {
            return Err(ClusterError::HubInUse);
        }
        let process = Uuid::now_v7();
        let mut settings = settings(process, &config)?;
        let answering = NodeInbox::default();
        let interest = Arc::clone(link::Receiver::interest(&answering));
        let listening = listen(config.listen).await?;
        let bound = listening
            .local_addr()
            .map_err(|e| ClusterError::Listen(config.listen, e))?;
        let address: Arc<str> = match &config.advertise {
            Some(address) => address.as_str().into(),
            None => advertise::choose(bound)?.into(),
        };
        settings.address = Some(Arc::clone(&address));
        let cluster = Self::new(hub, registry, &config, settings, interest);
        let inner = &cluster.inner;
        let watcher: Arc<dyn HubObserver> = Arc::new(ClusterObserver {
            interest: Arc::clone(&inner.interest),
            cluster: Arc::downgrade(inner),
        });
        if !inner.hub.watch(&watcher) {
            return Err(ClusterError::HubInUse);
        }
        answering.begin(inner);
        let port = PeerServer::serve(listening, Arc::clone(&inner.settings), Arc::new(answering))
            .await
            .map_err(|e| ClusterError::Listen(config.listen, e))?;
        drop(inner.port.set(port));
        let terms = RegistrarConfig {
            address,
            process,
            lease: config.lease,
            audit_interval: config.audit_interval,
            timeout: config.registry_timeout,
        };
        let registry = Arc::clone(&inner.registry);
        let registrar = Registrar::start(registry, terms, Arc::downgrade(inner)).await?;
        drop(inner.registrar.set(registrar));
        cluster
            .watch(config.lease / 3, config.audit_interval)
            .await?;
        Ok(cluster)
    }

    /// A process without connections that reaches those of the nodes: a backend. It needs no port.
    /// Fails where the registry cannot be reached.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn connect(
        registry: Arc<dyn Registry>,
        config: ClusterConfig,
    ) -> Result<Self, ClusterError> {
        let hub = Config {
            shards: Some(1),
            ..Config::default()
        };
        let hub = Hub::new(hub).expect("the defaults are valid");
        config.validate(hub.config())?;
        let settings = settings(Uuid::now_v7(), &config)?;
        let cluster = Self::new(hub, registry, &config, settings, Arc::default());
        cluster
            .watch(config.lease / 3, config.audit_interval)
            .await?;
        Ok(cluster)
    }

    /// One node by itself, with the same calls: no registry, no port, no peers.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn single_node(hub: Hub) -> Self {
        let config = ClusterConfig::default();
        let settings = settings(Uuid::now_v7(), &config).expect("there is no secret to be wrong");
        let registry = Arc::new(MemoryRegistry::new());
        Self::new(hub, registry, &config, settings, Arc::default())
    }

    fn new(
        hub: Hub,
        registry: Arc<dyn Registry>,
        config: &ClusterConfig,
        settings: link::LinkConfig,
        interest: Arc<Interest>,
    ) -> Self {
        let stop = CancellationToken::new();
        let inner = Inner {
            hub,
            registry,
            timeout: config.registry_timeout,
            process: settings.process,
            address: settings.address.clone(),
            settings: Arc::new(settings),
            peers: Peers::default(),
            routes: Routes::new(config.routes),
            ordering: OrderingQueue::new(config.link_queue_bytes),
            interest,
            foreign: Mutex::default(),
            registrar: OnceLock::new(),
            port: OnceLock::new(),
            registry_answers: AtomicBool::new(true),
            registry_silent: Arc::default(),
            stop: stop.clone(),
            tasks: TaskTracker::new(),
        };
        Self {
            inner: Arc::new(inner),
            _alive: Arc::new(stop.drop_guard()),
        }
    }

    /// Looks who is there, and goes on looking.
    async fn watch(&self, interval: Duration, audit: Duration) -> Result<(), ClusterError> {
        self.inner.sync_peers().await?;
        let inner = Arc::downgrade(&self.inner);
        let silent = Arc::clone(&self.inner.registry_silent);
        let watching = async move {
            tokio::join!(
                watch_members(inner.clone(), &silent, interval),
                legacy_discovery::watch(inner, interval, audit),
            )
        };
        // Keeps what is to be ended until it is; clones of the cluster hold the token, not this.
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn(async move {
            inner.stop.run_until_cancelled(watching).await;
            inner.end();
        });
        Ok(())
    }

    /// The orderly end of a node whose connections are gone, or of a backend: leaves the registry, then
    /// ends the links. [`Node::drain`](crate::Node::drain) does it by itself.
    pub async fn leave(&self) {
        let inner = &self.inner;
        if let Some(registrar) = inner.registrar() {
            registrar.leave(Instant::now() + LAST_WORDS).await;
        }
        inner.stop.cancel();
        inner.end();
        if let Some(port) = inner.port.get() {
            port.shutdown(LAST_WORDS).await;
        }
        inner.tasks.close();
        let _ = tokio::time::timeout(LAST_WORDS, inner.tasks.wait()).await;
    }

    /// Whether new connections can be registered; `Err` says why not, for people.
    pub fn readiness(&self) -> Result<(), String> {
        match self.inner.registrar().map(Registrar::health) {
            None | Some(Health::Up) => Ok(()),
            Some(Health::Down) => Err("the registry does not answer".into()),
            Some(Health::Conflict(holder)) => Err(format!(
                "process {holder} holds this node's address {}",
                self.address().unwrap_or_default()
            )),
        }
    }

    /// Whether another process holds this node's address, so that it takes no connections.
    pub(crate) fn is_in_conflict(&self) -> bool {
        let health = self.inner.registrar().map(Registrar::health);
        matches!(health, Some(Health::Conflict(_)))
    }

    /// Whether the registry answers.
    pub(crate) fn is_registered(&self) -> bool {
        self.readiness().is_ok()
    }

    /// Claims the id of a connection that the hub has admitted.
    pub(crate) async fn claim(
        &self,
        conn: &Arc<ConnectionInner>,
        arrival: Instant,
        exclusive: bool,
    ) -> ClaimDecision {
        self.inner.on_local_connect(&conn.id);
        match self.inner.registrar() {
            Some(registrar) => {
                registrar
                    .connect(conn, LocalInstant::of(arrival), exclusive)
                    .await
            }
            None => ClaimDecision::Undecided,
        }
    }

    /// Tells balancers and peers that this node ends.
    pub(crate) async fn is_ending(&self) {
        if let Some(port) = self.inner.port.get() {
            port.draining().await;
        }
    }
}

fn settings(process: Uuid, config: &ClusterConfig) -> Result<link::LinkConfig, ClusterError> {
    let mut settings = link::LinkConfig::new(process, &config.security)?;
    settings.queue_bytes = config.link_queue_bytes;
    Ok(settings)
}

async fn listen(address: SocketAddr) -> Result<tokio::net::TcpListener, ClusterError> {
    let listener = tokio::net::TcpListener::bind(address).await;
    listener.map_err(|e| ClusterError::Listen(address, e))
}

/// Looks who is there, at the pace of the beats, until the cluster is dropped; sooner after a look-up
/// that was not answered, since no other begins until the registry answers here.
async fn watch_members(cluster: Weak<Inner>, silent: &Notify, interval: Duration) {
    let mut pause = interval;
    loop {
        let jitter = 0.9 + 0.2 * fastrand::f64();
        let dial_now = async {
            silent.notified().await;
            tokio::time::sleep(RETRY.min(interval).mul_f64(jitter)).await;
        };
        tokio::select! {
            () = tokio::time::sleep(pause.mul_f64(jitter)) => {}
            () = dial_now => {}
        }
        let Some(cluster) = cluster.upgrade() else {
            return;
        };
        pause = match cluster.sync_peers().await {
            Ok(()) => interval,
            Err(error) => {
                tracing::debug!(error = %chain(&error), "cannot see who is there");
                RETRY.min(interval)
            }
        };
    }
}

impl Inner {
    /// Opens links to the nodes that the registry knows.
    async fn sync_peers(&self) -> Result<(), RegistryError> {
        let answer = self
            .with_timeout("list the nodes", self.registry.nodes())
            .await;
        self.registry_answers
            .store(answer.is_ok(), Ordering::Release);
        let foreign = self.foreign.lock().clone();
        self.peers.sync_members(&answer?, &foreign, self);
        Ok(())
    }

    pub(super) fn registry_is_silent(&self) {
        self.registry_answers.store(false, Ordering::Release);
        self.registry_silent.notify_one();
    }

    /// Ends links and claims; what waits is answered.
    fn end(&self) {
        self.peers.end();
        if let Some(registrar) = self.registrar() {
            registrar.stop();
        }
    }
}

/// Also where a start fails halfway.
impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

impl RegistrarHost for Inner {
    fn evict(&self, node: &str, id: ClientId) {
        let peer = self.peers.get_or_connect(&Arc::from(node), self);
        let ids = vec![bytes::Bytes::copy_from_slice(id.as_bytes())];
        let evict = link::RequestKind::Evict(proto::Evict { ids });
        peer.link
            .send_urgent(&evict, super::pending::PendingReply::Discard);
    }

    fn on_refused(&self, conn: &Arc<ConnectionInner>) {
        self.hub.close_member(conn, CloseReason::Replaced);
    }

    fn with_current(&self, conn: &Arc<ConnectionInner>, f: impl FnOnce()) -> bool {
        self.hub.with_current(conn, f)
    }

    async fn probe(&self) -> Option<Uuid> {
        let address = self.address.as_deref()?;
        match link::probe(address, &self.settings).await {
            Ok(Probed::Node(process)) => Some(process),
            Ok(Probed::Foreign) | Err(_) => None,
        }
    }
}

/// Tells the cluster of the hub's comings and goings; the hub must not keep the cluster alive.
struct ClusterObserver {
    interest: Arc<Interest>,
    cluster: Weak<Inner>,
}

impl HubObserver for ClusterObserver {
    fn gained(&self, key: ScopeKey<'_>) {
        self.interest.gained(hash(key));
    }

    fn lost(&self, key: ScopeKey<'_>) {
        self.interest.lost(hash(key));
    }

    fn left(&self, conn: &Arc<ConnectionInner>) {
        if let Some(cluster) = self.cluster.upgrade()
            && let Some(registrar) = cluster.registrar()
        {
            registrar.disconnect(conn);
        }
    }
}

fn hash(key: ScopeKey<'_>) -> u64 {
    match key {
        ScopeKey::User(name) => link::hash(proto::Scope::User, name),
        ScopeKey::Group(name) => link::hash(proto::Scope::Group, name),
    }
}
