//! `tieline serve`: one node.
//!
//! Owns the order of the start. The node listens before it joins the cluster, so that it does not appear
//! in the registry if its address is taken. Must not know flags: the settings are checked before they
//! get here.

use std::{net::SocketAddr, time::Duration};

use tieline::{Cluster, ClusterConfig, Config, Hub, Tls};

use super::{
    admin::{AdminPort, AdminPortSettings},
    cluster,
    lifecycle::Supervisor,
    listen,
    node::ReadyNode,
    registry::RegistrySettings,
    reload::Reload,
    routes,
};
use crate::{
    app::{
        filter,
        hubs::{Hubs, LiveHubRules},
        jwks::issuer::Issuers,
    },
    metrics::METRICS,
    wire::{
        self,
        aws::{self, key_pair::LiveKeyPair},
        webpubsub::upstream::{LiveHandlers, Upstream},
    },
};

/// The settings of `tieline serve`.
pub(crate) struct ServeSettings {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: Option<Tls>,
    /// Whose tokens the rules accept.
    pub(crate) issuers: Issuers,
    /// `None` if there is no admin port.
    pub(crate) admin: Option<AdminPortSettings>,
    /// Who may connect to which hub.
    pub(crate) rules: LiveHubRules,
    /// What signs the requests of backends to `@connections`.
    pub(crate) aws: LiveKeyPair,
    /// Where events of clients go.
    pub(crate) handlers: LiveHandlers,
    pub(crate) config: Config,
    pub(crate) registry: Option<RegistrySettings>,
    pub(crate) cluster: ClusterConfig,
    pub(crate) drain_delay: Duration,
}

/// Serves until a signal. SIGHUP reloads from the beginning, also while the node joins its cluster.
pub(crate) async fn serve(settings: ServeSettings, reload: Reload) -> anyhow::Result<()> {
    let reloads = reload.start()?;
    let upstream = Upstream::new(settings.handlers);
    let mut listener = listen::bind(settings.listen).await?;
    if let Some(tls) = settings.tls {
        listener = listener.tls(tls);
    }
    let admin = match settings.admin {
        Some(admin) => Some(AdminPort::bind(admin).await?),
        None => None,
    };
    let hub = Hub::with_filters(settings.config, wire::dialects().0, filter::compile)?;
    let cluster = match &settings.registry {
        Some(registry) => cluster::join(hub, registry, settings.cluster).await?,
        None => Cluster::single_node(hub),
    };
    let (address, peers) = (listener.local_addr()?, cluster.address());
    tracing::info!(%address, peers, "listening");

    for hub in settings.rules.listed() {
        METRICS.name_hub(hub.as_str());
    }
    let supervisor = Supervisor::new();
    let hubs = Hubs::new(cluster.clone(), settings.rules);
    let aws = aws::routes::routes(hubs.clone(), settings.aws);
    let node = ReadyNode::new(
        listener,
        cluster.clone(),
        upstream,
        hubs,
        supervisor.phase(),
    );
    let node = node.with_routes(aws);
    let health = || routes::health(&node.node, supervisor.phase());
    let admin = admin.map(|admin| admin.ready(cluster, health()));
    let admin = admin.transpose()?;
    let served = supervisor
        .serve(vec![node], admin, settings.drain_delay)
        .await;
    reloads.abort();
    served
}
