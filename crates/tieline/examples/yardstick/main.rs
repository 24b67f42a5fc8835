//! A server for load and fault tests.
//!
//! At `/ws?id=CLIENT_ID`, a text message is a command:
//!
//! | message | effect |
//! |---|---|
//! | `E…` | sends the message back verbatim |
//! | `B…` | sends the message verbatim to all clients |
//! | `T:ID:PAYLOAD` | sends the payload to a client; if that fails, the sender receives `!` and the outcome |
//! | `G:GROUP:PAYLOAD` | sends the payload to a group |
//! | `J:GROUP`, `L:GROUP` | joins a group, leaves it |
//!
//! At `/echo`, every message is sent back verbatim; at `/socket` too, by a task with a `Socket`. `GET /emit?id=&data=`, `/online?id=`,
//! `/broadcast?data=` and `/stats` respond in JSON. SIGTERM drains. With `--registry`, all of this
//! applies to the whole cluster.
//!
//! ```sh
//! cargo run --release -p tieline --all-features --example yardstick -- --listen 127.0.0.1:9201
//! ```

mod commands;
mod http;
mod memory;
mod options;

use anyhow::Context;
use clap::Parser;
use tieline::{Cluster, Hub, Listener, Node, Tls};
use tokio::signal::unix::{SignalKind, signal};

use self::{commands::Yardstick, options::Options};

async fn serve(options: Options) -> anyhow::Result<()> {
    let hub = Hub::new(options.config())?;
    let cluster = match &options.registry {
        None => Cluster::single_node(hub),
        Some(url) => {
            let registry = tieline::registry::connect(url, &options.prefix).await?;
            Cluster::start(hub, registry, options.cluster()).await?
        }
    };
    let yardstick = Yardstick {
        cluster: cluster.clone(),
    };
    let node = Node::in_cluster(cluster, yardstick);
    let listener = Listener::bind(&options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    eprintln!("listening on {}", listener.local_addr()?);
    let listener = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => {
            listener.tls(Tls::from_pem(&std::fs::read(cert)?, &std::fs::read(key)?)?)
        }
        _ => listener,
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::spawn(memory::give_back());
    let router = http::router(node.clone());
    node.serve_service(listener, router, shutdown).await;
    Ok(())
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    memory::refuse_huge_pages();
    let mut builder = match options.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(options.threads.into())
        .enable_all()
        .build()?;
    runtime.block_on(serve(options))
}
