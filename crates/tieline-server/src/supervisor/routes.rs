//! The routes of a node: clients, health, and a word for who is lost.

use axum::{Router, http::StatusCode, routing::get};
use tieline::{Handler, Node};
use tokio::sync::watch;

use super::lifecycle::Phase;
use crate::{
    app::events::Events,
    cli::Clients,
    wire::webpubsub::{handler::WebPubSub, upgrade},
};

pub(super) fn routes<E: Events>(
    node: &Node<WebPubSub<E>>,
    clients: &Clients,
    phase: watch::Receiver<Phase>,
) -> Router {
    let hub = clients.hub.clone();
    let nothing = format!("nothing is here; clients connect to /client/hubs/{hub}\n");
    let asked = node.clone();
    let ready = move || async move { readiness(&asked, *phase.borrow()) };
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .merge(upgrade::routes(node.clone(), hub, clients.access()))
        .fallback(move || async move { (StatusCode::NOT_FOUND, nothing) })
}

/// Whether balancers should send new clients here. A registry that is away says so in the text and
/// changes nothing: clients are let in all the same, and taking every node out for it would make an
/// outage of it.
fn readiness<H: Handler>(node: &Node<H>, phase: Phase) -> (StatusCode, String) {
    let trouble = node.cluster().and_then(|cluster| cluster.readiness().err());
    answer(phase, node.is_ready(), trouble.as_deref())
}

fn answer(phase: Phase, takes_clients: bool, trouble: Option<&str>) -> (StatusCode, String) {
    let unavailable = |why| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    match trouble {
        _ if phase > Phase::Serving => unavailable("draining"),
        _ if !takes_clients => unavailable(trouble.unwrap_or("not ready")),
        Some(trouble) => (StatusCode::OK, format!("ready, but {trouble}\n")),
        None => (StatusCode::OK, "ready\n".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tieline::{Cluster, ClusterConfig, Config, Hub, registry::MemoryRegistry};

    use super::*;
    use crate::app::events::NoEvents;

    #[test]
    fn a_registry_that_is_away_is_told_and_takes_no_node_out() {
        let away = Some("the registry does not answer");
        let told = |phase, takes, trouble| {
            let (status, body) = answer(phase, takes, trouble);
            (status.as_u16(), body)
        };
        let ready = told(Phase::Serving, true, None);
        assert_eq!(ready, (200, "ready\n".into()));
        let (status, body) = told(Phase::Serving, true, away);
        assert_eq!(status, 200);
        assert_eq!(body, "ready, but the registry does not answer\n");
        for phase in [Phase::Ending, Phase::Draining] {
            let draining = told(phase, true, away);
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
            Node::in_cluster(cluster.clone(), WebPubSub::new(cluster, NoEvents))
        };
        let first = node(None).await;
        let address = first.cluster().unwrap().address().unwrap();
        let second = node(Some(address)).await;
        assert_eq!(readiness(&first, Phase::Serving).0, StatusCode::OK);
        let (status, body) = readiness(&second, Phase::Serving);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains(address), "{body}");
    }
}
