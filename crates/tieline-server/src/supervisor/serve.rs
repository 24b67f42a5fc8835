//! `tieline serve`: one node.
//!
//! Owns the order of the start, and what a signal does to it. The node listens before it joins the cluster, so that it
//! does not appear in the registry if its address is taken. Must not know flags: the settings are checked before they
//! get here. Invariant: a node that a signal stops before it has started is not in the registry.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tieline::{
    Cluster, ClusterConfig, Config, Hub, PresenceConfig, Proxies, Tls, TlsConfig, TlsError,
    registry::Registry,
};

use tokio::task::JoinHandle;

use super::{
    admin::{AdminPort, AdminPortSettings},
    certificates::{CertificateFiles, LiveCertificates, for_operators},
    cluster,
    control::Control,
    lifecycle::{EVENTS_TIMEOUT, SecondSignal, Supervisor},
    listen::{self, Port},
    node::ReadyNode,
    registry::RegistrySettings,
    reload::Reload,
    routes,
    signals::{Signals, StopSignals},
    systemd,
};
use crate::{
    app::{
        filter,
        hubs::{Hubs, LiveHubRules},
        jwks::issuer::Issuers,
        members,
    },
    config::{listen::Listeners, registry_url::RegistryUrl},
    metrics::METRICS,
    wire::{
        self,
        aws::{self, key_pair::LiveKeyPair},
        pusher::{
            self,
            app::LiveApps,
            dialect::PusherDialect,
            service::Pusher,
            webhooks::{LiveWebhooks, Posting, Webhooks},
        },
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
    /// The apps of Pusher Channels.
    pub(crate) apps: LiveApps,
    /// Who is a member of a group, and for how long.
    pub(crate) members: PresenceConfig,
    /// Where their events go.
    pub(crate) webhooks: LiveWebhooks,
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

/// What a node has before it is in a cluster.
struct Opened {
    ports: Vec<Port>,
    admin: Option<AdminPort>,
    /// `None` for a node alone.
    registry: Option<Arc<dyn Registry>>,
}

/// Serves until a signal. SIGHUP reloads from the beginning, also while the node joins its cluster.
pub(crate) async fn serve(
    mut settings: ServeSettings,
    reload: Reload,
    signals: Signals,
) -> anyhow::Result<()> {
    let Signals { hangup, mut stop } = signals;
    let (tls, admin_tls) = tls(&settings)?;
    let joined = Arc::new(OnceLock::new());
    let listeners = (tls.clone(), admin_tls.clone());
    let certificates =
        LiveCertificates::new(settings.certificates(), listeners, Arc::clone(&joined));
    let reloads = reload.start(hangup, certificates);
    let watchdog = systemd::feed_watchdog();
    let Some(mut opened) = open(&mut settings, tls.as_ref(), admin_tls.as_ref(), &mut stop).await?
    else {
        tracing::info!("stopped before the node had started");
        return Ok(());
    };
    let (dialects, own) = wire::dialects();
    let hub = Hub::with_filters(settings.config.clone(), dialects, filter::compile)?;
    let url = settings.registry.as_ref().map(|registry| &registry.url);
    let registry = opened.registry.take().zip(url);
    let cluster = cluster(hub, registry, settings.cluster.clone(), &mut stop).await?;
    let _ = joined.set(cluster.clone());
    announce(&opened.ports, &cluster);
    let served = serve_in(cluster, settings, opened, own.pusher, stop).await;
    let tasks = [Some(reloads), watchdog];
    tasks.iter().flatten().for_each(JoinHandle::abort);
    served
}

/// Serves as a node of a cluster, until it has drained.
async fn serve_in(
    cluster: Cluster,
    settings: ServeSettings,
    opened: Opened,
    dialect: PusherDialect,
    stop: StopSignals,
) -> anyhow::Result<()> {
    name_hubs(&settings.rules, &settings.apps);
    let upstream = Upstream::new(settings.handlers.clone());
    let supervisor = Supervisor::new();
    let hubs = Hubs::with_members(cluster, settings.rules, settings.members);
    let aws = aws::routes::routes(hubs.clone(), settings.aws);
    let webhooks = Webhooks::new(settings.webhooks.clone(), settings.apps.clone());
    let apps = (settings.apps.clone(), webhooks.clone());
    let pusher = Pusher::new(apps, hubs.clone(), dialect);
    let control = Control::new(
        supervisor.phase(),
        supervisor.drain_handle(),
        Some(settings.handlers),
    );
    let control = control.with_webhooks(settings.webhooks);
    let members = tokio::spawn(members::follow_rules(hubs.clone()));
    let posting = Posting::start(webhooks, hubs.cluster().clone(), settings.cluster.lease);
    let leaving = hubs.clone();
    let node = ReadyNode::new(
        opened.ports,
        upstream,
        hubs,
        control,
        settings.show_payloads,
    );
    let pusher = pusher::routes(&node.node, pusher, node.inspector.follows());
    let node = node.with_routes(aws).with_apps(settings.apps, pusher);
    let health = || routes::health(&node.node, supervisor.phase());
    let admin = opened.admin;
    let admin = admin.map(|admin| admin.ready(&node.inspector, node.failures.clone(), health()));
    let admin = admin.transpose()?;
    let served = supervisor
        .serve(vec![node], admin, settings.drain_delay, stop)
        .await;
    // Also after a connection that did not close in time.
    let error = served.as_ref().err();
    if !error.is_some_and(anyhow::Error::is::<SecondSignal>) {
        leaving.end_presence().await;
        posting.end(EVENTS_TIMEOUT).await;
    }
    members.abort();
    served
}

/// Opens the ports and connects to the registry; `None` if a signal has come meanwhile.
async fn open(
    settings: &mut ServeSettings,
    tls: Option<&Tls>,
    admin_tls: Option<&Tls>,
    stop: &mut StopSignals,
) -> anyhow::Result<Option<Opened>> {
    let opening = async {
        let ports = ports(settings, tls).await?;
        let admin = match settings.admin.take() {
            Some(admin) => Some(AdminPort::bind(admin, admin_tls).await?),
            None => None,
        };
        let registry = match &settings.registry {
            Some(registry) => Some(registry.connect().await?),
            None => None,
        };
        Ok(Some(Opened {
            ports,
            admin,
            registry,
        }))
    };
    tokio::select! {
        biased;
        () = stop.first.come() => Ok(None),
        opened = opening => opened,
    }
}

/// The cluster of the node, or the node alone. The first signal waits until the node can leave the registry again.
async fn cluster(
    hub: Hub,
    registry: Option<(Arc<dyn Registry>, &RegistryUrl)>,
    config: ClusterConfig,
    stop: &mut StopSignals,
) -> anyhow::Result<Cluster> {
    let Some((registry, url)) = registry else {
        return Ok(Cluster::single_node(hub));
    };
    tokio::select! {
        biased;
        () = stop.second.come() => Err(SecondSignal.into()),
        started = cluster::start(hub, registry, config, Some(url)) => started,
    }
}

/// Clients can connect.
fn announce(ports: &[Port], cluster: &Cluster) {
    for port in ports {
        tracing::info!(address = %port.place, peers = cluster.address(), "listening");
    }
    systemd::is_ready();
}

/// TLS of the ports of clients and of operators.
fn tls(settings: &ServeSettings) -> Result<(Option<Tls>, Option<Tls>), TlsError> {
    let clients = settings.tls.as_ref();
    let has_admin_tls = settings.admin.as_ref().is_some_and(|admin| admin.tls);
    let operators = clients.filter(|_| has_admin_tls).map(for_operators);
    Ok((
        clients.map(Tls::new).transpose()?,
        operators.as_ref().map(Tls::new).transpose()?,
    ))
}

/// Listens for clients.
async fn ports(settings: &ServeSettings, tls: Option<&Tls>) -> anyhow::Result<Vec<Port>> {
    let opened = listen::open(&settings.listen, tls.is_some()).await?;
    let ports = opened.into_iter().map(|(mut port, is_tls)| {
        port.listener = port.listener.proxies(settings.proxies.clone());
        if let Some(tls) = tls.filter(|_| is_tls) {
            // All share the certificates, also after a reload.
            port.listener = port.listener.tls(tls.clone());
        }
        port
    });
    Ok(ports.collect())
}

/// Gives the hubs of the configuration labels of their own.
fn name_hubs(rules: &LiveHubRules, apps: &LiveApps) {
    for hub in rules.listed() {
        METRICS.name_hub(hub.as_str());
    }
    for hub in apps.load().hubs() {
        METRICS.name_hub(hub.as_str());
    }
}
