//! A cluster: two nodes, and clients that reach each other whichever node they are connected to.
//!
//! Run two nodes in one process, with a registry in memory:
//!
//! ```sh
//! cargo run -p tieline --features redis --example cluster
//! ```
//!
//! Or run each node in its own process, with a Redis that both can reach:
//!
//! ```sh
//! cargo run -p tieline --features redis --example cluster -- --registry redis://127.0.0.1:6379 127.0.0.1:8081
//! cargo run -p tieline --features redis --example cluster -- --registry redis://127.0.0.1:6379 127.0.0.1:8082
//! ```
//!
//! Try it with one client on each node:
//!
//! ```sh
//! npx wscat -c 'ws://127.0.0.1:8081/?name=ada'
//! npx wscat -c 'ws://127.0.0.1:8082/?name=grace'
//! ```
//!
//! `grace: hello` goes to grace only. Any other line goes to everyone else.
//!
//! Read next: `backend.rs` to send to these clients from a process without connections,
//! `docs/cluster.md`, and `docs/peers.md` for nodes on different machines.

use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use tieline::{
    Accept, ClientId, Cluster, ClusterConfig, Config, Connection, Handler, Hub, Listener, Message,
    Node, Refusal, StatusCode, UpgradeRequest,
    registry::{self, MemoryRegistry, Registry},
};
use tokio::task::JoinSet;

/// Start the nodes of a cluster.
#[derive(Debug, Parser)]
struct Options {
    /// Addresses to listen on for clients; each starts a node
    #[arg(default_values = ["127.0.0.1:8081", "127.0.0.1:8082"])]
    addresses: Vec<String>,
    /// The cluster's Redis; by default, the registry is in memory and serves the nodes of this process
    #[arg(
        long,
        value_name = "URL",
        env = "TIELINE_REGISTRY",
        hide_env_values = true
    )]
    registry: Option<String>,
}

struct Relay {
    cluster: Cluster,
}

impl Handler for Relay {
    type State = ();

    async fn on_connect(&self, connection: &Connection, (): &mut ()) {
        connection.emit(format!("welcome, {}", connection.id()));
    }

    async fn on_message(&self, connection: &Connection, (): &mut (), message: Message) {
        let (name, text) = (connection.id(), message.as_text().unwrap_or_default());
        let answer = if let Some((receiver, text)) = text.split_once(": ") {
            let delivery = self
                .cluster
                .emit(receiver, format!("{name} to you: {text}"));
            format!("{receiver}: {}", delivery.await)
        } else {
            let others = self.cluster.except([name]);
            let summary = others.broadcast(format!("{name} to all: {text}")).await;
            format!("delivered to {}", summary.reached.delivered)
        };
        connection.emit(answer);
    }
}

async fn authorize(request: UpgradeRequest) -> Result<Accept<()>, Refusal> {
    let name = request.query("name").unwrap_or_default();
    let id = ClientId::new(name.as_str()).map_err(|error| {
        let body = format!("name: {error}; connect to /?name=NAME\n");
        Refusal::new(StatusCode::BAD_REQUEST, body)
    })?;
    Ok(Accept::new(()).id(id).user(name).group("lobby"))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    // Shows when links between nodes go up and down.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let registry: Arc<dyn Registry> = match &options.registry {
        None => Arc::new(MemoryRegistry::new()),
        Some(url) => registry::connect(url, "example").await.context(
            "cannot use the registry; check --registry, or omit it to keep the registry in memory",
        )?,
    };

    // All ports first: a failure must not leave nodes in the registry.
    let mut listeners = Vec::new();
    for address in &options.addresses {
        listeners.push(Listener::bind(address).await.with_context(|| {
            format!("cannot listen on {address}; pass other addresses, such as 127.0.0.1:9000")
        })?);
    }
    let mut nodes = JoinSet::new();
    for listener in listeners {
        let hub = Hub::new(Config::default())?;
        let cluster = Cluster::start(hub, registry.clone(), ClusterConfig::default()).await?;
        let relay = Relay {
            cluster: cluster.clone(),
        };
        let node = Node::in_cluster(cluster, relay);
        eprintln!("listening on ws://{}/?name=NAME", listener.local_addr()?);
        let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
        nodes.spawn(async move { node.serve(listener, authorize, ctrl_c).await });
    }
    nodes.join_all().await;
    Ok(())
}
