//! Permissions of a connection for a group.

use axum::{http::StatusCode, response::Response};
use tieline::Cluster;

use super::{
    error::Error,
    outcome::{self, empty},
    path::{self, Access},
    query::Query,
};
use crate::app::{
    operations::client::{self, ClientReply, ClientRequest},
    permissions::TooManyOverrides,
    role::Permission,
};

/// Grants, checks or revokes it for the group that the query names.
pub(super) async fn permission(
    cluster: &Cluster,
    access: Access,
    permission: Permission,
    connection: &str,
    query: &Query,
) -> Result<Response, Error> {
    const NAME: &str = "targetName";
    let group = query.single(NAME)?;
    let group =
        group.ok_or_else(|| Error::bad_request(NAME, "targetName, a group, is required"))?;
    path::check_name(NAME, group)?;
    let group = group.to_owned();
    let request = match access {
        Access::Grant => ClientRequest::Grant(permission, group),
        Access::Check => ClientRequest::IsPermitted(permission, group),
        Access::Revoke => ClientRequest::Revoke(permission, group),
    };
    let done = match access {
        Access::Revoke => StatusCode::NO_CONTENT,
        Access::Grant | Access::Check => StatusCode::OK,
    };
    let nobody = || match access {
        Access::Revoke => Ok(empty(done)),
        Access::Check => Err(Error::not_permitted()),
        Access::Grant => Err(Error::no_connection()),
    };
    match client::ask(cluster, connection, &request).await {
        Ok(ClientReply::Done | ClientReply::Permitted(true)) => Ok(empty(done)),
        Ok(ClientReply::Permitted(false)) => Err(Error::not_permitted()),
        Ok(ClientReply::TooMany) => Err(Error::conflict(TooManyOverrides.to_string())),
        Ok(ClientReply::Gone) => nobody(),
        Err(error) => outcome::not_asked(&error).map_or_else(nobody, Err),
    }
}
