//! Responses to what was carried out.
//!
//! Owns the headers that say how far it went, and the warning when nodes were missed. Must not know operations.
//! Invariants: the status is the one that SDKs demand, whoever was missed; addresses of nodes are in the log only.

use std::{fmt::Display, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use tieline::{AskError, Delivery, NodeReached, Summary};

use super::error::Error;
use crate::{
    app::{operations::node::Parts, sampled::Sampled},
    metrics::METRICS,
};

const DELIVERED: HeaderName = HeaderName::from_static("tieline-delivered");
const REFUSED: HeaderName = HeaderName::from_static("tieline-refused");
const MISSED: HeaderName = HeaderName::from_static("tieline-missed");

/// Counts the nodes that were missed, and warns of them. Clones share the sample.
#[derive(Debug, Clone, Default)]
pub(super) struct MissedLog(Arc<Sampled>);

impl MissedLog {
    pub(super) fn missed(&self, node: &str, why: &dyn Display) {
        METRICS.node_missed();
        if let Some(left_out) = self.0.due() {
            tracing::warn!(
                node,
                %why,
                left_out,
                "a backend's request missed the clients of a node"
            );
        }
    }
}

pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A message was taken over.
fn accepted(delivered: u64, refused: u64, missed: u64) -> Response {
    let mut response = empty(StatusCode::ACCEPTED);
    let headers = response.headers_mut();
    headers.insert(DELIVERED, HeaderValue::from(delivered));
    headers.insert(REFUSED, HeaderValue::from(refused));
    headers.insert(MISSED, HeaderValue::from(missed));
    response
}

/// The response to a message to many.
pub(super) fn sent_to_many(summary: &Summary, log: &MissedLog) -> Response {
    let mut missed = 0;
    for NodeReached { node, outcome, .. } in &summary.nodes {
        let node = node.as_deref().unwrap_or_default();
        match outcome {
            Err(why) => log.missed(node, why),
            Ok(part) if part.filter_refused => log.missed(node, &"it cannot read the filter"),
            Ok(part) if part.incomplete => log.missed(node, &"it has ended"),
            Ok(_) => continue,
        }
        missed += 1;
    }
    let reached = &summary.reached;
    accepted(
        reached.delivered,
        reached.refused + reached.queue_full,
        missed,
    )
}

/// The response to a message to one connection.
pub(super) fn sent_to_one(delivery: Delivery, log: &MissedLog) -> Response {
    match delivery {
        Delivery::Delivered => accepted(1, 0, 0),
        Delivery::Refused | Delivery::QueueFull => accepted(0, 1, 0),
        Delivery::Offline => accepted(0, 0, 0),
        why => {
            log.missed("", &why);
            accepted(0, 0, 1)
        }
    }
}

/// The response to an operation that every node took part in.
pub(super) fn done_by_all(status: StatusCode, parts: &Parts, log: &MissedLog) -> Response {
    let mut response = empty(status);
    add_parts(&mut response, parts, log);
    response
}

/// Adds what was missed to the headers.
pub(super) fn add_parts(response: &mut Response, parts: &Parts, log: &MissedLog) {
    for (node, why) in &parts.missed {
        log.missed(node, why);
    }
    let headers = response.headers_mut();
    headers.insert(REFUSED, HeaderValue::from(parts.refused));
    headers.insert(MISSED, HeaderValue::from(parts.missed.len()));
}

/// Why the node of a client has not done what it was asked; `None` if nobody has the id.
pub(super) fn not_asked(error: &AskError) -> Option<Error> {
    match error {
        AskError::Offline => None,
        AskError::Refused(why) => Some(Error::conflict(why.as_str())),
        error => Some(Error::unavailable(format!(
            "the node of the connection gave no answer: {error}"
        ))),
    }
}

pub(super) fn too_many_groups() -> Error {
    let why = "the connection is in as many groups as it may be (see --max-groups), or chooses them itself, as \
               clients of Pusher Channels do";
    Error::conflict(why)
}
