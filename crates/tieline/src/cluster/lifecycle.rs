//! Start and end of a node.
//!
//! Owns the order of both: a node can be asked by its peers before it joins the registry, and it leaves
//! the registry before its links end. Must not know how messages are routed. Invariant: whatever a
//! start that fails has begun is ended.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tieline_registry::{MemoryRegistry, Registry};
use tokio::{
    net::{TcpListener, TcpSocket},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    advertise,
    config::{ClusterConfig, ClusterError},
    directory::NodeDirectory,
    hub_observer::ClusterObserver,
    inbound::NodeInbox,
    legacy_discovery, node_discovery,
    node_host::NodeHost,
    peers::Peers,
    router::MessageRouter,
};
use crate::{
    config::Config,
    hub::{Hub, HubObserver},
    link::{Interest, LinkConfig, PeerServer, Receiver},
    registrar::{ClusterClock, RegistrarConfig},
};

/// Connections to the peer port that wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long an end waits for each of its steps: the registry, the peer port, the tasks.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// What runs for a node; dropped, it stops at once.
pub(super) struct NodeRuntime {
    /// `None` for a backend.
    server: Option<PeerServer>,
    /// Ends the discovery of nodes, then links and the registrar.
    stop: CancellationToken,
    /// Of this node in the registry, or of nodes with the same configuration.
    pub(super) lease: Duration,
}

pub(super) async fn start(
    hub: Hub,
    registry: Arc<dyn Registry>,
    config: &ClusterConfig,
) -> Result<(Arc<MessageRouter>, NodeRuntime), ClusterError> {
    config.validate(hub.config())?;
    config.security.validate(config.listen)?;
    if hub.is_in_use() {
        return Err(ClusterError::HubInUse);
    }
    let mut links = link_config(&*registry, config)?;
    let (listener, address) = bind(config)?;
    links.address = Some(address);
    let clock = Arc::new(ClusterClock::default());
    links.clock = Some(clock.clone());
    let links = Arc::new(links);
    let inbox = NodeInbox::default();
    let interest = Arc::clone(inbox.interest());
    let peers = Peers::new;
    let router = new_router(hub, registry, config, Arc::clone(&links), interest, peers);
    observe_hub(&router)?;
    inbox.start_serving(&router);
    let server = PeerServer::serve(listener, links, Arc::new(inbox))
        .await
        .map_err(|error| ClusterError::Listen(config.listen, error))?;
    join_registry(&router, config, clock).await?;
    if let Err(error) = refuse_overlap(&router).await {
        leave_registry(&router).await;
        return Err(error);
    }
    let stop = discover_nodes(&router, config).await?;
    let (server, lease) = (Some(server), config.lease);
    let runtime = NodeRuntime {
        server,
        stop,
        lease,
    };
    Ok((router, runtime))
}

pub(super) async fn connect(
    registry: Arc<dyn Registry>,
    config: &ClusterConfig,
) -> Result<(Arc<MessageRouter>, NodeRuntime), ClusterError> {
    let hub = Config {
        shards: Some(1),
        ..Config::default()
    };
    let hub = Hub::new(hub).expect("the defaults are valid");
    config.validate(hub.config())?;
    let links = Arc::new(link_config(&*registry, config)?);
    let router = new_router(hub, registry, config, links, Arc::default(), Peers::new);
    refuse_overlap(&router).await?;
    let stop = discover_nodes(&router, config).await?;
    let runtime = NodeRuntime {
        server: None,
        stop,
        lease: config.lease,
    };
    Ok((router, runtime))
}

pub(super) fn single_node(hub: Hub) -> (Arc<MessageRouter>, NodeRuntime) {
    let config = ClusterConfig::default();
    let registry = Arc::new(MemoryRegistry::new());
    let links = link_config(&*registry, &config);
    let links = links.expect("the default has no secret that could be invalid");
    let (links, interest) = (Arc::new(links), Arc::default());
    let router = new_router(hub, registry, &config, links, interest, Peers::never);
    let runtime = NodeRuntime {
        server: None,
        stop: CancellationToken::new(),
        lease: config.lease,
    };
    (router, runtime)
}

impl NodeRuntime {
    /// Ends the node in order. The registry comes first: from then on no message is routed here.
    pub(super) async fn leave(&self, router: &MessageRouter) {
        leave_registry(router).await;
        self.stop.cancel();
        router.end();
        if let Some(server) = &self.server {
            server.shutdown(SHUTDOWN_TIMEOUT).await;
        }
        router.tasks.close();
        // What has not ended by then ends with the process.
        let _ = timeout(SHUTDOWN_TIMEOUT, router.tasks.wait()).await;
    }

    /// Reports to balancers and peers that the node drains.
    pub(super) async fn report_draining(&self) {
        if let Some(server) = &self.server {
            server.draining().await;
        }
    }
}

impl Drop for NodeRuntime {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn link_config(
    registry: &dyn Registry,
    config: &ClusterConfig,
) -> Result<LinkConfig, ClusterError> {
    let mut links = LinkConfig::new(Uuid::now_v7(), registry.cluster(), &config.security)?;
    links.queue_bytes = config.link_queue_bytes;
    links.connections = config.peer_connections;
    links.handshakes = config.peer_handshakes;
    Ok(links)
}

/// The peer port, and the address to advertise for it.
fn bind(config: &ClusterConfig) -> Result<(TcpListener, Arc<str>), ClusterError> {
    let failed = |error| ClusterError::Listen(config.listen, error);
    let listener = listen(config.listen).map_err(failed)?;
    let bound: SocketAddr = listener.local_addr().map_err(failed)?;
    let address = match &config.advertise {
        Some(address) => address.clone(),
        None => advertise::choose(bound).ok_or(ClusterError::NoAddress)?,
    };
    Ok((listener, address.into()))
}

/// As [`TcpListener::bind`], whose backlog of 128 is too short: what finds no room in it connects a second
/// later, and so would peers that start together.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn new_router(
    hub: Hub,
    registry: Arc<dyn Registry>,
    config: &ClusterConfig,
    links: Arc<LinkConfig>,
    interest: Arc<Interest>,
    peers: impl FnOnce(Arc<LinkConfig>, TaskTracker) -> Peers,
) -> Arc<MessageRouter> {
    // Requests of peers name theirs.
    let hub = hub.in_default();
    let tasks = TaskTracker::new();
    let peers = Arc::new(peers(Arc::clone(&links), tasks.clone()));
    let answers = Arc::clone(&links.answers);
    let host = Arc::new(NodeHost {
        hub: hub.clone(),
        peers: Arc::clone(&peers),
        config: links,
    });
    let directory = NodeDirectory::new(registry, config.registry_timeout, host);
    MessageRouter::new(hub, directory, peers, config, interest, answers, tasks)
}

fn observe_hub(router: &Arc<MessageRouter>) -> Result<(), ClusterError> {
    let observer: Arc<dyn HubObserver> = Arc::new(ClusterObserver::new(router));
    if router.hub.set_observer(&observer) {
        Ok(())
    } else {
        Err(ClusterError::HubInUse)
    }
}

async fn join_registry(
    router: &MessageRouter,
    config: &ClusterConfig,
    clock: Arc<ClusterClock>,
) -> Result<(), ClusterError> {
    let directory = &router.directory;
    let address = directory.address().ok_or(ClusterError::NoAddress)?;
    let registrar = RegistrarConfig {
        address: Arc::clone(address),
        process: directory.process(),
        lease: config.lease,
        audit_interval: config.audit_interval,
        timeout: config.registry_timeout,
        clock,
        claim_timeout: config.claim_timeout,
    };
    Ok(directory.join(registrar).await?)
}

async fn leave_registry(router: &MessageRouter) {
    if let Some(registrar) = router.directory.registrar() {
        registrar.leave(Instant::now() + SHUTDOWN_TIMEOUT).await;
    }
}

/// Where clusters share keys, each takes the other's clients for its own.
async fn refuse_overlap(router: &MessageRouter) -> Result<(), ClusterError> {
    match router.directory.overlap().await? {
        None => Ok(()),
        Some(other) => Err(ClusterError::Overlap {
            cluster: router.directory.registry().cluster().to_owned(),
            other,
        }),
    }
}

/// Finds the other nodes, and goes on looking until the token is cancelled.
async fn discover_nodes(
    router: &Arc<MessageRouter>,
    config: &ClusterConfig,
) -> Result<CancellationToken, ClusterError> {
    node_discovery::sync(router).await?;
    let (interval, audit) = (config.lease / 3, config.audit_interval);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let lookup_failed = Arc::clone(router.directory.lookup_failed());
    let list_is_stale = router.peers.list_is_stale();
    let (nodes, legacy) = (Arc::downgrade(router), Arc::downgrade(router));
    let discovery = async move {
        tokio::join!(
            node_discovery::run(nodes, lookup_failed, list_is_stale, interval),
            legacy_discovery::run(legacy, interval, audit),
        )
    };
    let tasks = router.tasks.clone();
    let router = Arc::clone(router);
    tasks.spawn(async move {
        stopped.run_until_cancelled(discovery).await;
        router.end();
    });
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_of_peers_waits_to_be_accepted() {
        let listener = listen(([127, 0, 0, 1], 0).into()).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let mut waiting = Vec::new();
        for _ in 0..400 {
            // Without room the kernel drops it, and connects it a second later at the earliest.
            let limit = Duration::from_millis(900);
            let connect = timeout(limit, tokio::net::TcpStream::connect(address));
            waiting.push(connect.await.expect("there is room").expect("it connects"));
        }
    }
}
