//! The routes: the two WebSocket endpoints, and the same operations over plain HTTP, in JSON.

use axum::{
    Json, Router,
    extract::{Query, State},
    http::Response,
    response::IntoResponse,
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tieline::{Accept, ClientId, Node, OnlineStatus, Refusal, Socket, StatusCode, Upgrade};

use super::commands::{Mode, Yardstick};

type NodeState = State<Node<Yardstick>>;

pub(crate) fn router(node: Node<Yardstick>) -> Router {
    Router::new()
        .route("/ws", get(commands))
        .route("/echo", get(echo))
        .route("/socket", get(socket))
        .route("/emit", get(emit))
        .route("/online", get(online))
        .route("/broadcast", get(broadcast))
        .route("/stats", get(stats))
        .fallback(async || (StatusCode::NOT_FOUND, "try /ws?id=you or /echo\n"))
        .with_state(node)
}

async fn commands(State(node): NodeState, upgrade: Upgrade) -> impl IntoResponse {
    accept(&node, upgrade, Mode::Commands).await
}

async fn echo(State(node): NodeState, upgrade: Upgrade) -> impl IntoResponse {
    accept(&node, upgrade, Mode::Echo).await
}

/// The same as `/echo`, as a socket.
async fn socket(State(node): NodeState, upgrade: Upgrade) -> impl IntoResponse {
    let run = async |mut socket: Socket| {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    };
    upgrade.on_socket(&node, Accept::new(()), run).await
}

async fn accept(
    node: &Node<Yardstick>,
    upgrade: Upgrade,
    mode: Mode,
) -> Result<Response<String>, Refusal> {
    let mut accept = Accept::new(mode);
    if let Some(id) = upgrade.request().query("id") {
        let bad = |e| Refusal::new(StatusCode::BAD_REQUEST, format!("id: {e}\n"));
        accept = accept.id(ClientId::new(id).map_err(bad)?);
    }
    Ok(upgrade.accept(node, accept).await)
}

#[derive(Deserialize)]
struct OneClient {
    id: String,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct AllClients {
    data: String,
}

async fn emit(State(node): NodeState, Query(to): Query<OneClient>) -> Json<Value> {
    let delivery = node.handler().cluster.emit(&to.id, to.data).await;
    Json(json!({ "delivery": delivery.as_str() }))
}

async fn online(State(node): NodeState, Query(client): Query<OneClient>) -> Json<Value> {
    let status = node.handler().cluster.online([client.id]).await[0];
    Json(json!({
        "online": status == OnlineStatus::Online,
        "known": status != OnlineStatus::Unknown,
    }))
}

async fn broadcast(State(node): NodeState, Query(to): Query<AllClients>) -> Json<Value> {
    let summary = node.handler().cluster.broadcast(to.data).await;
    let missed: Vec<_> = summary.missed().map(|(node, _)| node).collect();
    Json(json!({ "count": summary.reached.delivered, "not_reached": missed }))
}

async fn stats(State(node): NodeState) -> Json<Value> {
    let cluster = &node.handler().cluster;
    let peers = cluster.peers();
    let up = peers.iter().filter(|peer| peer.up).count();
    Json(json!({
        "connections": node.hub().len(),
        "entries": cluster.entries(),
        "ready": node.is_ready(),
        "peers": peers.len(),
        "peers_up": up,
    }))
}
