//! Closing connections.

use axum::{body::Body, http::StatusCode, response::Response};

use super::{
    error::Error,
    outcome::{self, empty},
    path::Target,
    query::Query,
};
use crate::app::hubs::HubHandle;
use crate::app::operations::{
    client::{self, ClientRequest},
    node::{self, NodeOperation, Whom},
};
use crate::wire::outcome::MissedLog;

/// Closes one connection, or those of many. It is done whether or not there are any.
pub(super) async fn close(
    hub: &HubHandle,
    target: Target,
    query: &Query,
    log: &MissedLog,
) -> Result<Response<Body>, Error> {
    let reason = query.reason()?;
    let whom = match target {
        Target::Connection(id) => {
            let request = ClientRequest::Close { reason };
            if let Err(error) = client::ask(hub.cluster(), &id, &request).await
                && let Some(error) = outcome::not_asked(&error)
            {
                return Err(error);
            }
            return Ok(empty(StatusCode::NO_CONTENT));
        }
        Target::Everyone => Whom::Everyone,
        Target::Group(group) => Whom::Group(group),
        Target::User(user) => Whom::User(user),
    };
    let operation = NodeOperation::Close {
        whom,
        excluded: query.excluded(),
        reason,
    };
    let parts = node::ask_all(hub, &operation).await;
    Ok(outcome::done_by_all(StatusCode::NO_CONTENT, &parts, log))
}
