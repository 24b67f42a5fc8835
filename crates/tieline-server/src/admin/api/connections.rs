//! Connections: searched, shown, sent to, closed.

use axum::{Json, body::Bytes, extract::State, http::Uri};
use serde::Deserialize;
use serde_json::{Value, json};
use tieline::{AskError, CloseCode, CloseFrame, Cluster, Delivery};

use super::{
    error::ApiError,
    operator::Operator,
    query::{self, ConnectionPath},
    state::Api,
};
use crate::{
    app::{
        inspection::{
            Answers, Question, ask_all, ask_client, ask_node,
            connections::{self, ConnectionQuery, ConnectionReport, Page},
        },
        payload::Payload,
    },
    config::hub_name::HubName,
};

/// Longest reason of a close frame (RFC 6455, 5.5).
const MAX_REASON: usize = 123;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    hub: Option<String>,
    id: Option<String>,
    user: Option<String>,
    group: Option<String>,
    address: Option<String>,
    node: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list(State(api): State<Api>, uri: Uri) -> Result<Json<Value>, ApiError> {
    let asked: ListQuery = query::parameters(&uri)?;
    let limit = query::limit(asked.limit)?;
    let question = Question::Connections(ConnectionQuery {
        hub: query::hub_given(asked.hub)?,
        id: query::given(asked.id),
        user: query::given(asked.user),
        group: query::given(asked.group),
        address: query::given(asked.address),
        after: query::given(asked.after),
        limit,
    });
    let cluster = api.inspector.cluster();
    let own = api.inspector.address();
    let Answers { parts, missed } = match query::given(asked.node) {
        Some(node) if node != own || cluster.address().is_some() => {
            match ask_node::<Page>(cluster, &node, &question).await {
                Ok(page) => Answers {
                    parts: vec![(node, page)],
                    missed: Vec::new(),
                },
                Err(error @ AskError::Offline) => {
                    return Err(ApiError::unasked(&format!("node {node:?}"), &error));
                }
                Err(_) => Answers {
                    parts: Vec::new(),
                    missed: vec![node],
                },
            }
        }
        _ => ask_all(cluster, &question).await,
    };
    let page = connections::merge(parts.into_iter().map(|(_, page)| page), limit);
    let Page { connections, more } = page;
    Ok(Json(
        json!({"connections": connections, "more": more, "missed": missed}),
    ))
}

pub(super) async fn one(
    State(api): State<Api>,
    ConnectionPath { hub, id }: ConnectionPath,
) -> Result<Json<Value>, ApiError> {
    let mut asked = ask_client(&api.hub(&hub)?, &id).await;
    // A new registry, or one that has lost its entries, does not know who is not there. The nodes do.
    if let Err(AskError::Unreachable) = asked {
        asked = ask_all_for(api.inspector.cluster(), &query::hub(&hub)?, &id).await;
    }
    let report = asked.map_err(|error| {
        let what = format!("connection {id:?} in hub {hub:?}");
        ApiError::unasked(&what, &error)
    })?;
    Ok(Json(json!(report)))
}

/// Asks the nodes themselves for a connection.
async fn ask_all_for(
    cluster: &Cluster,
    hub: &HubName,
    id: &str,
) -> Result<ConnectionReport, AskError> {
    let question = Question::Connections(ConnectionQuery {
        hub: Some(hub.to_string()),
        // The first that begins so is the one, if it exists.
        id: Some(id.to_owned()),
        limit: 1,
        ..ConnectionQuery::default()
    });
    let Answers { parts, missed } = ask_all::<Page>(cluster, &question).await;
    let mut found = parts.into_iter().flat_map(|(_, page)| page.connections);
    let report = found.find(|report| report.id == id);
    report.ok_or(if missed.is_empty() {
        AskError::Offline
    } else {
        AskError::Unreachable
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseBody {
    code: u16,
    #[serde(default)]
    reason: String,
}

pub(super) async fn close(
    State(api): State<Api>,
    ConnectionPath { hub, id }: ConnectionPath,
    operator: Operator,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let CloseBody { code, reason } = query::body(&body)?;
    let code = CloseCode::new(code).ok_or_else(|| {
        ApiError::bad_request("code is one that a server may send, such as 1000 or 4000 to 4999")
    })?;
    if reason.len() > MAX_REASON {
        let message = format!("reason has at most {MAX_REASON} bytes");
        return Err(ApiError::bad_request(message));
    }
    let cluster = api.hub(&hub)?;
    let outcome = cluster.close(&id, CloseFrame::new(code, &reason)).await;
    let from = operator.from();
    tracing::info!(from, hub, id, %outcome, "an operator closed a connection by the admin API");
    Ok(outcome_of(outcome))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendBody {
    text: String,
}

pub(super) async fn send(
    State(api): State<Api>,
    ConnectionPath { hub, id }: ConnectionPath,
    operator: Operator,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let SendBody { text } = query::body(&body)?;
    let cluster = api.hub(&hub)?;
    let outcome = cluster.emit(&id, Payload::text(&text).to_note()).await;
    let from = operator.from();
    tracing::info!(from, hub, id, %outcome, "an operator sent a message by the admin API");
    Ok(outcome_of(outcome))
}

fn outcome_of(outcome: Delivery) -> Json<Value> {
    Json(json!({"outcome": outcome.as_str()}))
}

impl Api {
    /// The clients of a hub, on all nodes.
    fn hub(&self, name: &str) -> Result<Cluster, ApiError> {
        let hub = query::hub(name)?;
        let cluster = self.inspector.cluster().namespace(hub.as_str());
        cluster.map_err(|error| ApiError::bad_request(error.to_string()))
    }
}
