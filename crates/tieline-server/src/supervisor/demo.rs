//! `tieline demo`: two nodes in one process, each with a chat page.
//!
//! Owns the start of both nodes: their listeners, their shared registry, which is in memory unless one
//! is given, and the greeting on standard output. Must not know what the chat does. Invariant: both
//! nodes listen before either serves, because each page has the addresses of both.

use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use tieline::{
    Cluster, ClusterConfig, Config, Hub,
    registry::{MemoryRegistry, Registry},
};

use super::{
    cluster,
    control::Control,
    lifecycle::Supervisor,
    listen::{ListenError, Port, bind},
    node::ReadyNode,
    registry::RegistrySettings,
    signals::StopSignals,
};
use crate::{
    app::{
        filter,
        hubs::{Hubs, LiveHubRules},
        key::AccessKey,
    },
    config::hub_name::HubName,
    demo::{
        chat::{Chat, HUB},
        negotiate,
        nodes::Nodes,
        page,
    },
    wire,
};

/// The settings of `tieline demo`.
pub(crate) struct DemoSettings {
    pub(crate) listen: SocketAddr,
    /// Where the second node listens: if `None`, on the next port or a free one.
    pub(crate) second: Option<SocketAddr>,
    /// Who may connect to which hub.
    pub(crate) rules: LiveHubRules,
    /// Signs the tokens of the pages.
    pub(crate) key: AccessKey,
    /// What the pages may do.
    pub(crate) roles: Vec<String>,
    pub(crate) config: Config,
    pub(crate) registry: Option<RegistrySettings>,
}

/// A node that does not serve yet.
struct StartedNode {
    port: Port,
    page: SocketAddr,
    cluster: Cluster,
}

/// Serves both nodes until a signal.
pub(crate) async fn demo(settings: DemoSettings) -> anyhow::Result<()> {
    let started = start(&settings).await?;
    let addresses = started
        .iter()
        .map(|node| (node.page, node.cluster.address().map(Arc::from)));
    let nodes: Nodes = addresses.collect();
    let pages: Vec<_> = nodes.pages().collect();
    let supervisor = Supervisor::new();
    let hub: HubName = HUB.parse().map_err(anyhow::Error::msg)?;
    let (mut served, mut leaving) = (Vec::new(), Vec::new());
    for started in started {
        let page = page::routes(started.page, &pages);
        let hubs = Hubs::new(started.cluster, settings.rules.clone());
        let hub = hubs
            .get(&hub)
            .context("the hub of the chat does not exist")?;
        let chat = Chat::start(hub.handle().clone(), nodes.clone());
        let tokens = negotiate::routes(hub, settings.key.clone(), settings.roles.clone());
        leaving.push(hubs.clone());
        let control = Control::new(supervisor.phase(), supervisor.drain_handle(), None);
        let node = ReadyNode::new(vec![started.port], chat, hubs, control, false)
            .with_routes(page.merge(tokens));
        served.push(node);
    }
    welcome(&pages)?;
    // The page of metrics is that of one node.
    let signals = StopSignals::keep()?;
    let no_delay = Duration::ZERO;
    supervisor.serve(served, None, no_delay, signals).await?;
    for hubs in leaving {
        hubs.end_presence().await;
    }
    Ok(())
}

/// Starts both nodes in one cluster, with a registry in memory unless the settings name one.
async fn start(settings: &DemoSettings) -> anyhow::Result<Vec<StartedNode>> {
    let ports = ports(settings).await?;
    let registry: Arc<dyn Registry> = match &settings.registry {
        Some(registry) => registry.connect().await?,
        None => Arc::new(MemoryRegistry::new()),
    };
    let url = settings.registry.as_ref().map(|registry| &registry.url);
    let mut started = Vec::new();
    for port in ports {
        let hub = Hub::with_filters(settings.config.clone(), wire::dialects().0, filter::compile)?;
        // The default configuration: peers meet on free ports of loopback.
        let config = ClusterConfig::default();
        let cluster = cluster::start(hub, Arc::clone(&registry), config, url).await?;
        started.push(StartedNode {
            page: port.listener.local_addr()?,
            port,
            cluster,
        });
    }
    Ok(started)
}

async fn ports(settings: &DemoSettings) -> Result<[Port; 2], ListenError> {
    let first = bind(settings.listen).await?;
    let second = match settings.second {
        Some(address) => bind(address).await?,
        None => bind_next_to(&first, settings.listen).await?,
    };
    Ok([first, second])
}

/// Listens on the port after that of `first`, or else on a free one.
async fn bind_next_to(first: &Port, listen: SocketAddr) -> Result<Port, ListenError> {
    let port = first
        .listener
        .local_addr()
        .map_or(listen.port(), |addr| addr.port());
    if let Some(next) = port.checked_add(1)
        && let Ok(second) = bind(SocketAddr::new(listen.ip(), next)).await
    {
        return Ok(second);
    }
    bind(SocketAddr::new(listen.ip(), 0)).await
}

fn welcome(pages: &[SocketAddr]) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "\n  Tieline demo: two connected nodes\n")?;
    for (index, page) in pages.iter().enumerate() {
        writeln!(out, "  Node {}:  http://{page}/", index + 1)?;
    }
    writeln!(
        out,
        "\n  Open both pages and send a message from one to the other."
    )?;
    writeln!(out, "  Press Ctrl+C to stop.\n")
}
