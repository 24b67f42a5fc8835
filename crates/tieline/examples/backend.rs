//! A backend: a process that holds no connections, and sends to the clients of all nodes.
//!
//! Start the example `cluster` over Redis and connect a client, as its first lines show. Then run this:
//!
//! ```sh
//! cargo run -p tieline --features redis --example backend -- user ada 'only for ada'
//! cargo run -p tieline --features redis --example backend -- group lobby 'to the lobby'
//! cargo run -p tieline --features redis --example backend -- all 'to everyone'
//! ```
//!
//! It prints how many connections the message was delivered to, on how many nodes, and names each node
//! that did not answer. The exit code is 1 if there is such a node.
//!
//! A backend needs the registry and the nodes' peer ports, and listens on no port itself. A service
//! that sends often connects once and keeps the `Cluster`; clones are cheap.
//!
//! Read next: `docs/cluster.md` for the other calls, and `docs/promises.md` for what each outcome means.
#![allow(clippy::print_stdout, reason = "a command prints its result")]

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use tieline::{Cluster, ClusterConfig, Summary, registry};

/// Send a message to clients of a running cluster.
#[derive(Debug, Parser)]
struct Options {
    /// The cluster's Redis
    #[arg(
        long,
        value_name = "URL",
        env = "TIELINE_REGISTRY",
        hide_env_values = true,
        default_value = "redis://127.0.0.1:6379"
    )]
    registry: String,
    #[command(subcommand)]
    receivers: Receivers,
}

#[derive(Debug, Subcommand)]
enum Receivers {
    /// Send to every connection of a user
    User { name: String, text: String },
    /// Send to every connection in a group
    Group { name: String, text: String },
    /// Send to every connection
    All { text: String },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    // The prefix is the cluster's name in the registry, the same as in the example `cluster`.
    let registry = registry::connect(&options.registry, "example")
        .await
        .context("cannot use the registry; start Redis, or pass its URL with --registry")?;
    let cluster = Cluster::connect(registry, ClusterConfig::default()).await?;

    let receipt = match options.receivers {
        Receivers::User { name, text } => cluster.emit_user(&name, text),
        Receivers::Group { name, text } => cluster.emit_group(&name, text),
        Receivers::All { text } => cluster.broadcast(text),
    };
    let summary = receipt.await;
    cluster.leave().await;
    report(&summary)
}

fn report(summary: &Summary) -> anyhow::Result<()> {
    let outcomes = summary.nodes.iter().map(|node| node.outcome);
    let nodes = outcomes.filter(|outcome| outcome.is_ok_and(|reached| reached.delivered > 0));
    println!(
        "delivered to {} connection(s) on {} node(s)",
        summary.reached.delivered,
        nodes.count()
    );
    for (node, outcome) in summary.missed() {
        println!("node {node}: {outcome}");
    }
    ensure!(
        summary.is_complete(),
        "some nodes did not answer; their clients may not have received the message"
    );
    Ok(())
}
