//! The routes of a node: clients, health, and a hint on every other path.
//!
//! Owns `/healthz` and `/readyz`, and when a node is ready. Must not know how clients are upgraded: the
//! wire adds its own routes. Invariant: the health routes answer from the state of the node, without a
//! request to the registry.

use axum::{Router, http::StatusCode, routing::get};
use tieline::{Handler, Node};
use tokio::sync::watch;

use super::phase::ServingPhase;
use crate::{
    app::{events::Events, hubs::Hubs},
    wire::{
        self,
        webpubsub::{handler::WebPubSub, rest, upgrade},
    },
};

const NOT_FOUND: &str = "not found; WebSocket clients connect to /client/hubs/HUB, for example /client/hubs/chat, and \
                         those of Pusher Channels to /app/KEY, whose backends ask /apps/ID\n";

pub(super) fn routes<E: Events>(
    node: &Node<WebPubSub<E>>,
    hubs: Hubs,
    phase: watch::Receiver<ServingPhase>,
) -> Router {
    let (_, dialects) = wire::dialects();
    Router::new()
        .merge(health(node, phase))
        .merge(rest::routes(hubs.clone()))
        .merge(upgrade::routes(node.clone(), hubs, dialects.webpubsub))
        .fallback(|| async { (StatusCode::NOT_FOUND, NOT_FOUND) })
}

/// `/healthz` and `/readyz`, which stand on the clients' port and on the admin port.
pub(super) fn health<H: Handler>(node: &Node<H>, phase: watch::Receiver<ServingPhase>) -> Router {
    let node = node.clone();
    let ready = move || async move { readiness(&node, *phase.borrow()) };
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
}

/// Whether load balancers should send new clients here. An unreachable registry is only reported: the
/// node accepts clients without it, and taking out every node would turn the fault into an outage.
fn readiness<H: Handler>(node: &Node<H>, phase: ServingPhase) -> (StatusCode, String) {
    let problem = node.cluster().and_then(|cluster| cluster.readiness().err());
    ready_response(phase, node.is_ready(), problem.as_deref())
}

fn ready_response(
    phase: ServingPhase,
    accepts_clients: bool,
    problem: Option<&str>,
) -> (StatusCode, String) {
    let unavailable = |why| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    match problem {
        _ if phase > ServingPhase::Serving => unavailable("draining"),
        _ if !accepts_clients => unavailable(problem.unwrap_or("not ready")),
        Some(problem) => (StatusCode::OK, format!("ready, but {problem}\n")),
        None => (StatusCode::OK, "ready\n".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tieline::{Cluster, ClusterConfig, Config, Hub, registry::MemoryRegistry};

    use super::*;

    #[test]
    fn an_unreachable_registry_is_reported_but_the_node_stays_ready() {
        let problem = Some("the registry does not respond");
        let response = |phase, accepts, problem| {
            let (status, body) = ready_response(phase, accepts, problem);
            (status.as_u16(), body)
        };
        let ready = response(ServingPhase::Serving, true, None);
        assert_eq!(ready, (200, "ready\n".into()));
        let (status, body) = response(ServingPhase::Serving, true, problem);
        assert_eq!(status, 200);
        assert_eq!(body, "ready, but the registry does not respond\n");
        for phase in [ServingPhase::DrainDelay, ServingPhase::Draining] {
            let draining = response(phase, true, problem);
            assert_eq!(draining, (503, "draining\n".into()));
        }
    }

    #[tokio::test]
    async fn a_node_whose_address_another_process_holds_is_not_ready() {
        let registry = Arc::new(MemoryRegistry::new());
        let node = async |advertise: Option<&str>| {
            let config = ClusterConfig {
                advertise: advertise.map(str::to_owned),
                ..ClusterConfig::default()
            };
            let hub = Hub::new(Config::default()).unwrap();
            let cluster = Cluster::start(hub, registry.clone(), config).await.unwrap();
            Node::in_cluster(cluster, ())
        };
        let first = node(None).await;
        let address = first.cluster().unwrap().address().unwrap();
        let second = node(Some(address)).await;
        assert_eq!(readiness(&first, ServingPhase::Serving).0, StatusCode::OK);
        let (status, body) = readiness(&second, ServingPhase::Serving);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains(address), "{body}");
    }
}
