//! Who is in which group.
//!
//! Owns whom an operation is about. Must not know where connections are. Invariant: what any node sends to a group
//! after the response reaches those who joined.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;

use super::{
    body,
    error::Error,
    outcome::{self, done_by_all, empty},
    path, query,
};
use crate::app::operations::{
    client::{self, ClientReply, ClientRequest},
    node::{self, NodeOperation, Parts, Whom},
};
use crate::app::{channels, hubs::HubHandle};
use crate::wire::outcome::MissedLog;

/// Most groups of one request.
const MAX_GROUPS: usize = 1000;

/// What `:addToGroups` and `:removeFromGroups` are told. Nothing else, because a request without a filter is about
/// everyone, and so would one be whose filter is misspelt.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bulk {
    #[serde(default)]
    groups: Vec<String>,
    filter: Option<String>,
}

pub(super) async fn add_connection(
    hub: &HubHandle,
    connection: &str,
    group: &str,
) -> Result<Response, Error> {
    check_group(hub, group)?;
    let request = ClientRequest::Join(group.to_owned());
    match client::ask(hub.cluster(), connection, &request).await {
        Ok(ClientReply::Gone) => Err(Error::no_connection()),
        Ok(ClientReply::TooMany) => Err(outcome::too_many_groups()),
        Ok(_) => Ok(empty(StatusCode::OK)),
        Err(error) => Err(outcome::not_asked(&error).unwrap_or_else(Error::no_connection)),
    }
}

/// It is done whether or not there is such a connection.
pub(super) async fn remove_connection(
    hub: &HubHandle,
    connection: &str,
    group: &str,
) -> Result<Response, Error> {
    leave(hub, connection, ClientRequest::Leave(group.to_owned())).await
}

pub(super) async fn remove_connection_from_all(
    hub: &HubHandle,
    connection: &str,
) -> Result<Response, Error> {
    leave(hub, connection, ClientRequest::LeaveAllGroups).await
}

async fn leave(
    hub: &HubHandle,
    connection: &str,
    request: ClientRequest,
) -> Result<Response, Error> {
    if let Err(error) = client::ask(hub.cluster(), connection, &request).await
        && let Some(error) = outcome::not_asked(&error)
    {
        return Err(error);
    }
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Adds the connections that a user has now.
pub(super) async fn add_user(
    hub: &HubHandle,
    user: String,
    group: String,
    log: &MissedLog,
) -> Result<Response, Error> {
    check_group(hub, &group)?;
    let parts = all(
        hub,
        NodeOperation::Join {
            whom: Whom::User(user),
            groups: vec![group],
        },
    );
    let parts = parts.await;
    if parts.connections == 0 {
        return Err(match parts.missed.first() {
            None => Error::no_user(),
            Some(_) => Error::unavailable("a node that may have the user did not answer"),
        });
    }
    if parts.refused == parts.connections {
        return Err(outcome::too_many_groups());
    }
    Ok(done_by_all(StatusCode::OK, &parts, log))
}

/// Removes the connections that a user has now; from all groups without one.
pub(super) async fn remove_user(
    hub: &HubHandle,
    user: String,
    group: Option<String>,
    log: &MissedLog,
) -> Result<Response, Error> {
    let leave = NodeOperation::Leave {
        whom: Whom::User(user),
        groups: group.map(|group| vec![group]),
    };
    let parts = all(hub, leave).await;
    Ok(done_by_all(StatusCode::NO_CONTENT, &parts, log))
}

/// Adds the connections that a filter admits now, or removes them.
pub(super) async fn change_many(
    hub: &HubHandle,
    headers: &HeaderMap,
    body: Body,
    join: bool,
    log: &MissedLog,
) -> Result<Response, Error> {
    let Bulk { groups, filter } = body::json(headers, body).await?;
    if groups.is_empty() || groups.len() > MAX_GROUPS {
        let message = format!("groups must name 1 to {MAX_GROUPS} groups");
        return Err(Error::bad_request("groups", message));
    }
    for group in &groups {
        path::check_name("groups", group)?;
        if join {
            check_group(hub, group)?;
        }
    }
    let whom = match filter {
        Some(filter) => Whom::Matching(query::check_filter(&filter)?),
        None => Whom::Everyone,
    };
    let operation = if join {
        NodeOperation::Join { whom, groups }
    } else {
        let groups = Some(groups);
        NodeOperation::Leave { whom, groups }
    };
    let parts = all(hub, operation).await;
    Ok(done_by_all(StatusCode::OK, &parts, log))
}

/// Whether other clients than those of an app may be in the group.
fn check_group(hub: &HubHandle, group: &str) -> Result<(), Error> {
    let checked = channels::check_group(hub, group);
    checked.map_err(|why| Error::bad_request("group", why.to_string()))
}

async fn all(hub: &HubHandle, operation: NodeOperation) -> Parts {
    node::ask_all(hub, &operation).await
}
