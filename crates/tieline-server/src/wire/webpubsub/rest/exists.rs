//! Whether a connection, a user or a group exists.

use axum::{http::StatusCode, response::Response};
use tieline::{Cluster, Counted, OnlineStatus};

use super::{error::Error, outcome::empty, path::Target};
use crate::wire::outcome::MissedLog;

/// A user exists while it has a connection, and a group while it has a member.
pub(super) async fn exists(
    cluster: &Cluster,
    target: &Target,
    log: &MissedLog,
) -> Result<Response, Error> {
    match target {
        Target::Everyone => {}
        Target::Connection(id) => match cluster.online([id]).await.first() {
            Some(OnlineStatus::Online) => {}
            Some(OnlineStatus::Offline) => return Err(Error::no_connection()),
            _ => {
                let message = "the registry, or the node of the connection, does not answer";
                return Err(Error::unavailable(message));
            }
        },
        Target::User(user) => any(&cluster.user_len(user).await, Error::no_user, log)?,
        Target::Group(group) => any(&cluster.group_len(group).await, Error::no_group, log)?,
    }
    Ok(empty(StatusCode::OK))
}

/// Whether a node has one. Without, nodes that did not answer leave it open.
fn any(counted: &Counted, none: fn() -> Error, log: &MissedLog) -> Result<(), Error> {
    if counted.total > 0 {
        return Ok(());
    }
    if counted.is_complete() {
        return Err(none());
    }
    for (node, why) in counted.missed() {
        log.missed(node, why);
    }
    let message = "no node that answered has one, and others did not answer";
    Err(Error::unavailable(message))
}
