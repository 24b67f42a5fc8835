//! Responses to what was carried out.
//!
//! Owns their statuses. Must not know operations. Invariants: the status is the one that SDKs demand, whoever was
//! missed; addresses of nodes are in the log only.

use axum::{body::Body, http::StatusCode, response::Response};
use tieline::{AskError, Delivery, Summary};

use super::error::Error;
use crate::{
    app::operations::node::Parts,
    wire::outcome::{MissedLog, Reach, refused_and_missed},
};

pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A message was taken over.
fn accepted(reach: Reach) -> Response {
    let mut response = empty(StatusCode::ACCEPTED);
    reach.write_to(response.headers_mut());
    response
}

/// The response to a message to many.
pub(super) fn sent_to_many(summary: &Summary, log: &MissedLog) -> Response {
    accepted(Reach::of(summary, |node, why| log.missed(node, why)))
}

/// The response to a message to one connection.
pub(super) fn sent_to_one(delivery: Delivery, log: &MissedLog) -> Response {
    let mut reach = Reach::default();
    match delivery {
        Delivery::Delivered => reach.delivered = 1,
        Delivery::Refused | Delivery::QueueFull => reach.refused = 1,
        Delivery::Offline => {}
        why => {
            log.missed("", &why);
            reach.missed = 1;
        }
    }
    accepted(reach)
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
    let missed = parts.missed.len() as u64;
    refused_and_missed(response.headers_mut(), parts.refused, missed);
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
