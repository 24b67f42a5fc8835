//! What a node process has of presence: users enter and exit by queries, and the node follows the lobby.
//!
//! `/enter?user=` and `/exit?user=&how=left|disconnected` are about the group `lobby`; `/told` answers with the members
//! that the node's own follower was told. What it is told wrong ends the process.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use parking_lot::Mutex;
use tieline::{Cluster, Exit, Presence, PresenceConfig};

use crate::presence::history::History;

/// The group of all tests.
pub(super) const LOBBY: &str = "lobby";

#[derive(Clone)]
pub(super) struct NodePresence {
    pub(super) presence: Presence,
    history: Arc<Mutex<History>>,
}

type Asked = Query<HashMap<String, String>>;

impl NodePresence {
    pub(super) async fn start(cluster: &Cluster, grace: Duration) -> Self {
        let config = PresenceConfig {
            grace,
            ..PresenceConfig::default()
        };
        let presence = Presence::with_config(cluster, config).unwrap();
        let history = Arc::<Mutex<History>>::default();
        let mut following = presence.follow(LOBBY).await.unwrap();
        let told = Arc::clone(&history);
        tokio::spawn(async move {
            while let Some(change) = following.next().await {
                let applied = told.lock().apply(change);
                if let Err(fault) = applied {
                    eprintln!("a follower was told something wrong: {fault}");
                    std::process::abort();
                }
            }
        });
        Self { presence, history }
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/enter", get(enter))
            .route("/exit", get(exit))
            .route("/told", get(told))
            .with_state(self)
    }
}

async fn enter(State(node): State<NodePresence>, Query(asked): Asked) -> Json<String> {
    for user in asked["user"].split(',') {
        node.presence.enter(LOBBY, user, "").await.unwrap();
    }
    Json(String::new())
}

async fn exit(State(node): State<NodePresence>, Query(asked): Asked) -> Json<String> {
    let how = match asked["how"].as_str() {
        "left" => Exit::Left,
        _ => Exit::Disconnected,
    };
    for user in asked["user"].split(',') {
        node.presence.exit(LOBBY, user, how);
    }
    Json(String::new())
}

async fn told(State(node): State<NodePresence>) -> Json<Vec<String>> {
    let history = node.history.lock();
    Json(history.names().into_iter().map(str::to_owned).collect())
}
