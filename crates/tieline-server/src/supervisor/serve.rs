//! `tieline serve`: one node.
//!
//! Owns the order of the start. The node listens before it joins the cluster, so that it does not appear
//! in the registry if its address is taken. Must not know flags: the settings are checked before they
//! get here.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tieline::{Cluster, ClusterConfig, Config, Hub, Proxies, Tls, TlsConfig};
use tokio::task::JoinHandle;

use super::{
    admin::{AdminPort, AdminPortSettings},
    certificates::{CertificateFiles, LiveCertificates},
    cluster,
    control::Control,
    lifecycle::Supervisor,
    listen,
    node::ReadyNode,
    registry::RegistrySettings,
    reload::Reload,
    routes, systemd,
};
use crate::{
    app::{
        filter,
        hubs::{Hubs, LiveHubRules},
        jwks::issuer::Issuers,
    },
    config::listen::Listeners,
    metrics::METRICS,
    wire::{
        self,
        aws::{self, key_pair::LiveKeyPair},
        webpubsub::upstream::{LiveHandlers, Upstream},
    },
};

/// The settings of `tieline serve`.
pub(crate) struct ServeSettings {
    pub(crate) listen: Listeners,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) proxies: Proxies,
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
    /// Whether operators who follow a client see what it sends and gets.
    pub(crate) show_payloads: bool,
}

impl ServeSettings {
    /// The certificates, as their files have them.
    pub(crate) fn certificates(&self) -> CertificateFiles {
        CertificateFiles {
            clients: self.tls.clone(),
            peers: self.cluster.security.tls.clone(),
        }
    }
}

/// Serves until a signal. SIGHUP reloads from the beginning, also while the node joins its cluster.
pub(crate) async fn serve(settings: ServeSettings, reload: Reload) -> anyhow::Result<()> {
    let tls = settings.tls.as_ref().map(Tls::new).transpose()?;
    let joined = Arc::new(OnceLock::new());
    let certificates =
        LiveCertificates::new(settings.certificates(), tls.clone(), Arc::clone(&joined));
    let reloads = reload.start(certificates)?;
    let upstream = Upstream::new(settings.handlers.clone());
    let watchdog = systemd::feed_watchdog();
    let listeners = listen::open(&settings.listen).await?.into_iter();
    let listeners: Vec<_> = listeners
        .map(|listener| {
            let listener = listener.proxies(settings.proxies.clone());
            match &tls {
                Some(tls) => listener.tls(tls.clone()),
                None => listener,
            }
        })
        .collect();
    let admin = match settings.admin {
        Some(admin) => Some(AdminPort::bind(admin, tls.as_ref()).await?),
        None => None,
    };
    let hub = Hub::with_filters(settings.config, wire::dialects().0, filter::compile)?;
    let cluster = match &settings.registry {
        Some(registry) => cluster::join(hub, registry, settings.cluster).await?,
        None => Cluster::single_node(hub),
    };
    let _ = joined.set(cluster.clone());
    for listener in &listeners {
        let (address, peers) = (listener.local_addr()?, cluster.address());
        tracing::info!(%address, peers, "listening");
    }
    systemd::is_ready();

    for hub in settings.rules.listed() {
        METRICS.name_hub(hub.as_str());
    }
    let supervisor = Supervisor::new();
    let hubs = Hubs::new(cluster, settings.rules);
    let aws = aws::routes::routes(hubs.clone(), settings.aws);
    let control = Control::new(
        supervisor.phase(),
        supervisor.drain_handle(),
        Some(settings.handlers),
    );
    let node = ReadyNode::new(listeners, upstream, hubs, control, settings.show_payloads);
    let node = node.with_routes(aws);
    let health = || routes::health(&node.node, supervisor.phase());
    let admin = admin.map(|admin| admin.ready(&node.inspector, health()));
    let admin = admin.transpose()?;
    let served = supervisor
        .serve(vec![node], admin, settings.drain_delay)
        .await;
    reloads.abort();
    watchdog.inspect(JoinHandle::abort);
    served
}
