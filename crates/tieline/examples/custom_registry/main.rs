//! A custom registry: the nodes of one machine form a cluster through a file, without any server.
//!
//! Run two nodes, each in its own terminal:
//!
//! ```sh
//! cargo run -p tieline --features cluster --example custom_registry -- 127.0.0.1:8081
//! cargo run -p tieline --features cluster --example custom_registry -- 127.0.0.1:8082
//! ```
//!
//! Try it with one client on each node. `grace: hello` in ada's terminal reaches grace:
//!
//! ```sh
//! npx wscat -c 'ws://127.0.0.1:8081/?name=ada'
//! npx wscat -c 'ws://127.0.0.1:8082/?name=grace'
//! ```
//!
//! The file is `tieline-example.json` in the system's folder for temporary files; to use another, append
//! its path. `tables.rs` has what each operation of a registry does to the data, and `registry.rs` how the
//! data is stored: replace the latter to use a database. `tests.rs` runs the tests that every registry
//! must pass:
//!
//! ```sh
//! cargo test -p tieline --features cluster --example custom_registry
//! ```
//!
//! Read next: `docs/registries.md`, and the documentation of the trait `Registry`.

mod registry;
mod tables;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use tieline::{
    Accept, ClientId, Cluster, ClusterConfig, Config, Connection, Handler, Hub, Listener, Message,
    Node, Refusal, StatusCode, UpgradeRequest,
};

use self::registry::FileRegistry;

struct Relay {
    cluster: Cluster,
}

impl Handler for Relay {
    type State = ();

    /// `grace: hello` sends "hello" to grace, whichever node she is connected to.
    async fn on_message(&self, connection: &Connection, (): &mut (), message: Message) {
        let text = message.as_text().unwrap_or_default();
        let Some((receiver, text)) = text.split_once(": ") else {
            connection.emit("write NAME: TEXT");
            return;
        };
        let frame = format!("{}: {text}", connection.id());
        let delivery = self.cluster.emit(receiver, frame).await;
        connection.emit(format!("{receiver}: {delivery}"));
    }
}

async fn authorize(request: UpgradeRequest) -> Result<Accept<()>, Refusal> {
    let name = request.query("name").unwrap_or_default();
    let id = ClientId::new(name).map_err(|error| {
        let body = format!("name: {error}; connect to /?name=NAME\n");
        Refusal::new(StatusCode::BAD_REQUEST, body)
    })?;
    Ok(Accept::new(()).id(id))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:8081".into());
    let default = || std::env::temp_dir().join("tieline-example.json");
    let path = arguments.next().map_or_else(default, PathBuf::from);

    let listener = Listener::bind(&address).await.with_context(|| {
        format!("cannot listen on {address}; pass another address, such as 127.0.0.1:9000")
    })?;
    let registry = Arc::new(FileRegistry::new(path));
    let hub = Hub::new(Config::default())?;
    let cluster = Cluster::start(hub, registry, ClusterConfig::default())
        .await
        .context("cannot use the registry; pass the path of a file that can be written, after the address")?;
    eprintln!("listening on ws://{}/?name=NAME", listener.local_addr()?);

    let relay = Relay {
        cluster: cluster.clone(),
    };
    let node = Node::in_cluster(cluster, relay);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    node.serve(listener, authorize, ctrl_c).await;
    Ok(())
}
