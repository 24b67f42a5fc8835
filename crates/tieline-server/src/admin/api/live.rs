//! How all nodes are doing, once a second, over a WebSocket.
//!
//! Owns who is told, and when. Invariant: an operator who does not read is told less often, and nothing piles up.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use tieline::{
    Accept, Config, ConfigError, Connection, Handler, Hub, Message, Node, Refusal, Upgrade,
};
use tokio::time::{MissedTickBehavior, interval};

use super::{AdminAccess, Api, nodes::all_nodes};
use crate::app::inspection::Inspector;

/// The subprotocol that a client may offer: browsers need one to send a token beside it.
const SUBPROTOCOL: &str = "tieline.live";

/// Most operators who watch at a time. Each costs a request to every node a second.
const MAX_WATCHERS: usize = 32;

const INTERVAL: Duration = Duration::from_secs(1);

/// Tells each connection.
pub(super) struct Live {
    inspector: Arc<Inspector>,
    access: AdminAccess,
}

/// What serves these connections. They are no clients: nobody reaches them by an id, and no metric counts them.
pub(super) fn node(
    inspector: Arc<Inspector>,
    access: AdminAccess,
) -> Result<Node<Live>, ConfigError> {
    let config = Config {
        shards: Some(1),
        max_connections: Some(MAX_WATCHERS),
        ..Config::default()
    };
    Ok(Node::new(Hub::new(config)?, Live { inspector, access }))
}

pub(super) async fn follow(
    State(api): State<Api>,
    upgrade: Result<Upgrade, Refusal>,
) -> axum::response::Response {
    use axum::response::IntoResponse;

    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal.into_response(),
    };
    // The guard has checked the origin.
    let accept = Accept::new(()).subprotocol(SUBPROTOCOL).any_origin();
    upgrade.accept(&api.live, accept).await.into_response()
}

impl Handler for Live {
    type State = ();

    async fn on_connect(&self, connection: &Connection, (): &mut ()) {
        let (inspector, access) = (Arc::clone(&self.inspector), self.access);
        let watcher = connection.clone();
        connection.spawn(async move {
            let mut ticks = interval(INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let nodes = all_nodes(&inspector, access.read_only).await;
                if watcher.send(nodes.to_string()).await.is_err() {
                    return;
                }
            }
        });
    }

    async fn on_message(&self, _: &Connection, (): &mut (), _: Message) {}
}
