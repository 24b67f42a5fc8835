//! What is asked of nodes.

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tieline::StatusCode;

use super::{error::ApiError, operator::Operator, query, state::Api};
use crate::app::{
    inspection::{
        Answers, Inspector, Question, ask_all, ask_node,
        groups::Groups,
        reports::{HandlerReport, NodeReport},
    },
    refusals::RefusalRecord,
};

pub(super) async fn nodes(State(api): State<Api>) -> Json<Value> {
    Json(all_nodes(&api.inspector, api.access.read_only).await)
}

/// How all nodes are doing.
pub(super) async fn all_nodes(inspector: &Inspector, read_only: bool) -> Value {
    let answers: Answers<NodeReport> = ask_all(inspector.cluster(), &Question::Node).await;
    let own = inspector.address();
    let nodes = answers.parts.into_iter().map(|(_, mut node)| {
        node.is_self = node.address == own;
        node
    });
    let nodes: Vec<_> = nodes.collect();
    json!({"nodes": nodes, "read_only": read_only, "missed": answers.missed})
}

pub(super) async fn handlers(State(api): State<Api>) -> Json<Value> {
    let answers: Answers<Vec<HandlerReport>> =
        ask_all(api.inspector.cluster(), &Question::Handlers).await;
    let (handlers, missed) = with_nodes(answers);
    Json(json!({"handlers": handlers, "missed": missed}))
}

pub(super) async fn refusals(State(api): State<Api>) -> Json<Value> {
    let answers: Answers<Vec<RefusalRecord>> =
        ask_all(api.inspector.cluster(), &Question::Refusals).await;
    let (mut refusals, missed) = with_nodes(answers);
    // The latest first.
    refusals.reverse();
    refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal["at"].as_u64()));
    Json(json!({"refusals": refusals, "missed": missed}))
}

/// The items of all nodes, each with the address of its node.
fn with_nodes<T: serde::Serialize>(answers: Answers<Vec<T>>) -> (Vec<Value>, Vec<String>) {
    let Answers { parts, missed } = answers;
    let items = parts.into_iter().flat_map(|(node, items)| {
        items.into_iter().map(move |item| {
            let mut item = json!(item);
            item["node"] = json!(node);
            item
        })
    });
    (items.collect(), missed)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupQuery {
    hub: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn groups(State(api): State<Api>, uri: Uri) -> Result<Json<Value>, ApiError> {
    let GroupQuery { hub, limit } = query::parameters(&uri)?;
    let (hub, limit) = (query::hub_given(hub)?, query::limit(limit)?);
    let question = Question::Groups { hub };
    let answers: Answers<Groups> = ask_all(api.inspector.cluster(), &question).await;
    let parts = answers.parts.into_iter().map(|(_, part)| part);
    let Groups { groups, more } = Groups::merge(parts, limit);
    Ok(Json(
        json!({"groups": groups, "more": more, "missed": answers.missed}),
    ))
}

/// Strict: a name with a typing error must not drain the node that was asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DrainBody {
    /// This one if absent.
    node: Option<String>,
}

pub(super) async fn drain(
    State(api): State<Api>,
    operator: Operator,
    body: Bytes,
) -> Result<Response, ApiError> {
    let DrainBody { node } = query::body(&body)?;
    let inspector = &api.inspector;
    let node = node.unwrap_or_else(|| inspector.address().to_owned());
    if node == inspector.address() {
        tracing::info!(
            from = operator.from(),
            "an operator drains this node by the admin API"
        );
        inspector.drain();
    } else {
        let question = Question::Drain {
            by: inspector.address().to_owned(),
            from: operator.text(),
        };
        let asked = ask_node::<()>(inspector.cluster(), &node, &question).await;
        asked.map_err(|error| ApiError::unasked(&format!("node {node:?}"), &error))?;
        tracing::info!(
            from = operator.from(),
            node,
            "an operator drains another node by the admin API"
        );
    }
    Ok((StatusCode::ACCEPTED, Json(json!({"draining": node}))).into_response())
}
