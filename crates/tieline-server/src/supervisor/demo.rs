//! `tieline demo`: two nodes in one process, a chat page on each.

use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};

use tieline::{
    Cluster, ClusterConfig, Hub, Listener,
    registry::{MemoryRegistry, Registry},
};

use super::{
    cluster,
    lifecycle::{Serving, Supervisor},
    routes,
    serve::{bind, node},
};
use crate::{
    Usage,
    cli::{self, Clients},
    demo::{chat::Chat, nodes::Nodes, page},
};

/// A node of the demo before it serves.
struct Started {
    listener: Listener,
    page: SocketAddr,
    cluster: Cluster,
}

/// `tieline demo`.
pub(crate) async fn demo(options: cli::Demo) -> anyhow::Result<()> {
    let clients = &options.common.clients;
    let started = start(&options).await?;
    let addresses = started
        .iter()
        .map(|node| (node.page, node.cluster.address().map(Arc::from)));
    let nodes: Nodes = addresses.collect();
    let pages: Vec<_> = nodes.pages().collect();
    let life = Supervisor::new();
    let serving = started.into_iter().map(|started| {
        let chat = Chat::start(started.cluster.clone(), nodes.clone());
        let node = node(started.cluster, chat);
        let page = page::routes(&clients.hub, started.page, &pages);
        Serving {
            listener: started.listener,
            router: routes::routes(&node, clients, life.phase()).merge(page),
            node,
        }
    });
    let serving = serving.collect();
    welcome(&pages)?;
    life.serve(serving, Duration::ZERO).await
}

/// Both nodes, joined by a registry in memory or the one that is asked for.
async fn start(options: &cli::Demo) -> anyhow::Result<Vec<Started>> {
    let url = options.registry.url()?;
    let listeners = listeners(options).await?;
    let registry: Arc<dyn Registry> = match url {
        Some(url) => cluster::connect(url, &options.registry).await?,
        None => Arc::new(MemoryRegistry::new()),
    };
    let mut started = Vec::new();
    for listener in listeners {
        let hub = Hub::new(options.config()).map_err(|e| Usage(e.to_string()))?;
        let registry = Some(Arc::clone(&registry));
        // The default: peers on a free port of loopback.
        let cluster = cluster::start(hub, registry, ClusterConfig::default(), url).await?;
        started.push(Started {
            page: listener.local_addr()?,
            listener,
            cluster,
        });
    }
    Ok(started)
}

/// The second node listens where it is told, else on the next port, else on a free one.
async fn listeners(options: &cli::Demo) -> anyhow::Result<[Listener; 2]> {
    let clients = &options.common.clients;
    let first = bind(options.common.listen, clients, "--listen").await?;
    let second = match options.second {
        Some(address) => bind(address, clients, "--second").await?,
        None => beside(first.local_addr()?, clients).await?,
    };
    Ok([first, second])
}

async fn beside(first: SocketAddr, clients: &Clients) -> anyhow::Result<Listener> {
    let at = |port| SocketAddr::new(first.ip(), port);
    if let Some(port) = first.port().checked_add(1)
        && let Ok(listener) = bind(at(port), clients, "--second").await
    {
        return Ok(listener);
    }
    bind(at(0), clients, "--second").await
}

fn welcome(pages: &[SocketAddr]) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "\n  Tieline demo: two nodes, joined by a link\n")?;
    for (index, page) in pages.iter().enumerate() {
        let word = if index == 0 { "Open " } else { "and  " };
        writeln!(out, "  {word} http://{page}/")?;
    }
    writeln!(out, "\n  Each tab is a person, on a node of its own.")?;
    writeln!(out, "  Ctrl+C ends it.\n")
}
