//! The counters of the process, and the words of their labels.

use std::sync::{Arc, LazyLock};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{
    certificates::CertificateMetrics,
    hub_names::HubNames,
    pusher::PusherMetrics,
    registry::{OperationMetrics, RegistryFamilies},
    webhooks::{EndpointMetrics, Webhooks},
};

/// The counters of this process.
pub(crate) static METRICS: LazyLock<ServerMetrics> = LazyLock::new(ServerMetrics::new);

/// The results of a reload.
const APPLIED: &str = "applied";
const FAILED: &str = "failed";

/// Why a request to the admin port is refused.
const ADMIN_REFUSALS: [&str; 4] = ["no_token", "wrong_token", "foreign_host", "foreign_origin"];

#[derive(Debug, Default)]
pub(crate) struct ServerMetrics {
    hubs: HubNames,
    clients: Family<ClientLabels, Gauge>,
    upgrades_refused: Family<StatusLabel, Counter>,
    access_refused: Family<AccessLabels, Counter>,
    rest_requests: Family<RestLabels, Counter>,
    nodes_missed: Counter,
    webhooks: Webhooks,
    registry: RegistryFamilies,
    events_given_up: Counter,
    pusher: PusherMetrics,
    reloads: Family<ReloadLabel, Counter>,
    reload_failed: Gauge,
    certificates: CertificateMetrics,
    admin_refused: Family<ReasonLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClientLabels {
    hub: Arc<str>,
    wire: &'static str,
    subprotocol: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AccessLabels {
    peer: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RestLabels {
    wire: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabel {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl ServerMetrics {
    /// Where the words of a label are few, all are there from the beginning: what begins to count later has no rate
    /// at first.
    fn new() -> Self {
        let metrics = Self::default();
        for result in [APPLIED, FAILED] {
            drop(metrics.reloads.get_or_create(&ReloadLabel { result }));
        }
        for reason in ADMIN_REFUSALS {
            drop(metrics.admin_refused.get_or_create(&ReasonLabel { reason }));
        }
        metrics
    }

    /// A hub that the configuration names keeps its label, however many hubs strangers think up. Only at the start:
    /// its clients must not change their label.
    pub(crate) fn name_hub(&self, hub: &str) {
        self.hubs.add(hub);
    }

    /// A client has connected. `wire` and `subprotocol` are words of the program.
    pub(crate) fn client_entered(&self, hub: &str, wire: &'static str, subprotocol: &'static str) {
        self.clients(hub, wire, subprotocol).inc();
    }

    /// Such a client has left.
    pub(crate) fn client_left(&self, hub: &str, wire: &'static str, subprotocol: &'static str) {
        self.clients(hub, wire, subprotocol).dec();
    }

    fn clients(&self, hub: &str, wire: &'static str, subprotocol: &'static str) -> Gauge {
        self.clients.get_or_create_owned(&ClientLabels {
            hub: self.hubs.label(hub),
            wire,
            subprotocol,
        })
    }

    /// The upgrade of a client was answered with another status than 101.
    pub(crate) fn upgrade_refused(&self, status: u16) {
        let label = StatusLabel { status };
        self.upgrades_refused.get_or_create(&label).inc();
    }

    /// A client was refused for its token, or for having none.
    pub(crate) fn client_refused(&self, reason: &'static str) {
        self.access_refused("client", reason);
    }

    /// The same for a request of a backend.
    pub(crate) fn backend_refused(&self, reason: &'static str) {
        self.access_refused("backend", reason);
    }

    fn access_refused(&self, peer: &'static str, reason: &'static str) {
        let labels = AccessLabels { peer, reason };
        self.access_refused.get_or_create(&labels).inc();
    }

    /// A request of a backend was answered.
    pub(crate) fn rest_request(&self, wire: &'static str, route: &'static str, status: u16) {
        let labels = RestLabels {
            wire,
            route,
            status,
        };
        self.rest_requests.get_or_create(&labels).inc();
    }

    /// A request of a backend did not reach the clients of a node.
    pub(crate) fn node_missed(&self) {
        self.nodes_missed.inc();
    }

    /// What is counted of the requests to an event handler. `endpoint` is a text of the operator's.
    pub(crate) fn endpoint(&self, endpoint: &str) -> EndpointMetrics {
        self.webhooks.endpoint(endpoint)
    }

    /// The first certificate for clients or for peers expires then, in seconds since 1970.
    pub(crate) fn certificate_expires(&self, of: &'static str, at: u64) {
        self.certificates.expires(of, at);
    }

    /// Whether the files of the certificates could be used when they were last looked at.
    pub(crate) fn certificates_read(&self, can_be_used: bool) {
        self.certificates.read(can_be_used);
    }

    /// What is counted of an operation of the registry.
    pub(crate) fn registry_operation(&self, operation: &'static str) -> OperationMetrics {
        self.registry.operation(operation)
    }

    /// An event that nobody waits for was given up.
    pub(crate) fn event_given_up(&self) {
        self.events_given_up(1);
    }

    /// The same of several.
    pub(crate) fn events_given_up(&self, count: u64) {
        self.events_given_up.inc_by(count);
    }

    /// What is counted of clients of Pusher Channels.
    pub(crate) fn pusher(&self) -> &PusherMetrics {
        &self.pusher
    }

    /// The configuration was read again.
    pub(crate) fn reloaded(&self, is_applied: bool) {
        let result = if is_applied { APPLIED } else { FAILED };
        self.reloads.get_or_create(&ReloadLabel { result }).inc();
        self.reload_failed.set(i64::from(!is_applied));
    }

    /// A request to the admin port was refused.
    pub(crate) fn admin_refused(&self, reason: &'static str) {
        self.admin_refused
            .get_or_create(&ReasonLabel { reason })
            .inc();
    }

    /// Puts all of them on a page.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "tieline_clients",
            "Clients of the server that are connected",
            self.clients.clone(),
        );
        registry.register(
            "tieline_upgrades_refused",
            "Requests of clients that were answered with another status than 101",
            self.upgrades_refused.clone(),
        );
        registry.register(
            "tieline_access_refused",
            "Requests that were refused for their token or signature, or for having none",
            self.access_refused.clone(),
        );
        registry.register(
            "tieline_rest_requests",
            "Requests of backends that were answered",
            self.rest_requests.clone(),
        );
        registry.register(
            "tieline_rest_nodes_missed",
            "Nodes whose clients a request of a backend did not reach",
            self.nodes_missed.clone(),
        );
        self.webhooks.register(registry);
        self.registry.register(registry);
        self.pusher.register(registry);
        registry.register(
            "tieline_webhook_events_given_up",
            "Events that no event handler or webhook took before their time was over, or that were too many",
            self.events_given_up.clone(),
        );
        registry.register(
            "tieline_config_reloads",
            "Times that the configuration was read again",
            self.reloads.clone(),
        );
        registry.register(
            "tieline_config_reload_failed",
            "Whether the last reload of the configuration failed",
            self.reload_failed.clone(),
        );
        self.certificates.register(registry);
        registry.register(
            "tieline_admin_requests_refused",
            "Requests to the admin port that were refused",
            self.admin_refused.clone(),
        );
    }
}
