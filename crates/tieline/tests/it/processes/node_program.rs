//! The program of a node process: WebSockets at `/ws?id=`, and queries of a test by plain HTTP.
//!
//! `/emit?ids=a,b&data=` sends to each id and answers, once all receipts are decided, with the
//! outcome of each and how long it took by a stopwatch; `/close?id=&code=` closes a client; `/stats` reports the
//! state of the node; `node_presence` has those about presence. SIGTERM drains. The program waits for a registry that is away at its start,
//! as a supervisor that restarts it would.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tieline::{
    Accept, ClientId, CloseCode, CloseFrame, Cluster, ClusterConfig, Config, Connection, Handler,
    Hub, Listener, Message, Node, Refusal, Upgrade, registry,
};
use tokio::signal::unix::{SignalKind, signal};

use super::node_presence::NodePresence;
use crate::kit::{Stopwatch, child};

/// The environment variable with the [`Setup`].
pub(super) const SETUP: &str = "TIELINE_TEST_NODE";

/// Pause before the next attempt to start.
const AGAIN: Duration = Duration::from_millis(50);

/// The setup of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) registry: String,
    pub(super) prefix: String,
    pub(super) clients: SocketAddr,
    pub(super) peers: SocketAddr,
    pub(super) advertise: String,
    pub(super) lease: Duration,
    pub(super) audit: Duration,
    pub(super) drain_window: Duration,
    /// With presence, and this grace.
    #[serde(default)]
    pub(super) presence: Option<Duration>,
}

/// The state of a node.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stats {
    pub(super) connections: usize,
    pub(super) entries: u64,
    /// Whether the node accepts new clients, and if not, why.
    pub(super) ready: bool,
    pub(super) not_ready_because: Option<String>,
    /// Addresses of the peers whose link is up.
    pub(super) linked: Vec<String>,
}

/// The outcome of one emit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EmitResult {
    pub(super) id: String,
    pub(super) delivery: String,
    pub(super) took: Duration,
}

/// Serves until SIGTERM, in the child.
pub(super) async fn serve() {
    // It ends with its test in any case, even while it is suspended.
    #[cfg(target_os = "linux")]
    {
        let kill = rustix::process::Signal::KILL;
        rustix::process::set_parent_process_death_signal(Some(kill)).unwrap();
    }
    if std::env::var_os("RUST_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .init();
    }
    let setup: Setup = serde_json::from_str(&std::env::var(SETUP).unwrap()).unwrap();
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let cluster = loop {
        match start(&setup).await {
            Ok(cluster) => break cluster,
            Err(error) => tracing::warn!(%error, "not started"),
        }
        tokio::time::sleep(AGAIN).await;
    };
    let presence = match setup.presence {
        Some(grace) => Some(NodePresence::start(&cluster, grace).await),
        None => None,
    };
    let node = Node::in_cluster(cluster, Echo);
    let listener = loop {
        match Listener::bind(setup.clients).await {
            Ok(listener) => break listener,
            Err(error) => tracing::warn!(%error, "cannot listen"),
        }
        tokio::time::sleep(AGAIN).await;
    };
    child::say("serving");
    let mut router = router(node.clone());
    if let Some(presence) = presence.clone() {
        router = router.merge(presence.router());
    }
    let terminated = async {
        terminate.recv().await;
        if let Some(node) = presence {
            node.presence.drain().await.unwrap();
        }
    };
    let drained = node.serve_service(listener, router, terminated);
    assert_eq!(drained.await.remaining, 0, "every task has ended");
}

async fn start(setup: &Setup) -> Result<Cluster, Box<dyn std::error::Error>> {
    let config = Config {
        shards: Some(1),
        drain_window: setup.drain_window,
        ..Config::default()
    };
    let cluster = ClusterConfig {
        listen: setup.peers,
        advertise: Some(setup.advertise.clone()),
        lease: setup.lease,
        audit_interval: setup.audit,
        ..ClusterConfig::default()
    };
    let registry = registry::connect(&setup.registry, &setup.prefix).await?;
    Ok(Cluster::start(Hub::new(config)?, Arc::clone(&registry), cluster).await?)
}

struct Echo;

impl Handler for Echo {
    type State = ();

    async fn on_message(&self, connection: &Connection, (): &mut (), message: Message) {
        connection.emit(message);
    }
}

type NodeState = State<Node<Echo>>;
type Asked = Query<HashMap<String, String>>;

fn router(node: Node<Echo>) -> Router {
    Router::new()
        .route("/ws", get(enter))
        .route("/emit", get(emit))
        .route("/close", get(close))
        .route("/stats", get(stats))
        .with_state(node)
}

async fn enter(State(node): NodeState, upgrade: Upgrade) -> Result<Response, Refusal> {
    let id = ClientId::new(upgrade.request().query("id").unwrap()).unwrap();
    let accept = Accept::new(()).id(id);
    Ok(upgrade.accept(&node, accept).await.into_response())
}

async fn emit(State(node): NodeState, Query(asked): Asked) -> Json<Vec<EmitResult>> {
    let cluster = node.cluster().unwrap();
    let emits = asked["ids"].split(',').map(|id| {
        let (begun, receipt) = (Stopwatch::start(), cluster.emit(id, asked["data"].clone()));
        async move {
            let delivery = receipt.await.as_str().to_owned();
            let (id, took) = (id.to_owned(), begun.elapsed());
            EmitResult { id, delivery, took }
        }
    });
    Json(join_all(emits).await)
}

async fn close(State(node): NodeState, Query(asked): Asked) -> Json<String> {
    let code = CloseCode::new(asked["code"].parse().unwrap()).unwrap();
    let cluster = node.cluster().unwrap();
    let closed = cluster.close(&asked["id"], CloseFrame::new(code, ""));
    Json(closed.await.to_string())
}

async fn stats(State(node): NodeState) -> Json<Stats> {
    let cluster = node.cluster().unwrap();
    let peers = cluster.peers().into_iter().filter(|peer| peer.up);
    Json(Stats {
        connections: node.hub().len(),
        entries: cluster.entries(),
        ready: node.is_ready(),
        not_ready_because: cluster.readiness().err(),
        linked: peers.map(|peer| peer.address.to_string()).collect(),
    })
}
