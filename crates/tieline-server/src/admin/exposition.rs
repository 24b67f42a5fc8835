//! The page of metrics, in the text format `OpenMetrics`.
//!
//! Owns the registry of the process: what the server counts, and what is read when the page is asked for.

use std::sync::Arc;

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use prometheus_client::{encoding::text::encode, metrics::info::Info, registry::Registry};
use tokio::runtime::Handle;

use super::collectors::{
    cluster::ClusterCollector, handshakes::HandshakeCollector, hub::HubCollector,
    limits::LimitsCollector, presence::PresenceCollector, process::ProcessCollector,
    runtime::RuntimeCollector,
};
use crate::{
    app::{handshakes::ListenerFailures, inspection::Inspector},
    metrics::METRICS,
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What `/metrics` answers. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Exposition(Arc<Registry>);

impl Exposition {
    /// The metrics of this process, of its node and of the node's listeners.
    pub(crate) fn new(
        inspector: &Inspector,
        listeners: Vec<ListenerFailures>,
        runtime: Handle,
    ) -> Self {
        let cluster = inspector.cluster().clone();
        let mut registry = Registry::default();
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("tieline_build", "The version of the server", version);
        METRICS.register(&mut registry);
        registry.register_collector(Box::new(HubCollector(cluster.hub().clone())));
        registry.register_collector(Box::new(ClusterCollector(cluster)));
        registry.register_collector(Box::new(HandshakeCollector(listeners)));
        let quotas = Arc::clone(inspector.hubs().quotas());
        registry.register_collector(Box::new(LimitsCollector(quotas)));
        let presence = PresenceCollector(inspector.hubs().clone());
        registry.register_collector(Box::new(presence));
        registry.register_collector(Box::new(RuntimeCollector(runtime)));
        registry.register_collector(Box::new(ProcessCollector::new()));
        Self(Arc::new(registry))
    }

    pub(super) fn page(&self) -> Response {
        let mut page = String::new();
        match encode(&mut page, &self.0) {
            Ok(()) => ([(CONTENT_TYPE, OPEN_METRICS)], page).into_response(),
            // Only a writer can fail, and a string does not.
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}
