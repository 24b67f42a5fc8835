//! Requests to the node of one client.
//!
//! Owns what is done there. Must not know who asks, or whether that is allowed.

use std::{net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};
use tieline::{AskError, Bytes, Cluster, Connection, RequestError};

use super::{decode, decode_request, encode, node};
use crate::app::{
    close,
    permissions::{SharedPermissions, TooManyOverrides},
    role::Permission,
};

/// What is asked about a client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ClientRequest {
    Close { reason: Option<String> },
    LeaveAllGroups,
    Grant(Permission, String),
    Revoke(Permission, String),
    IsPermitted(Permission, String),
    Describe,
}

/// What its node did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ClientReply {
    Done,
    /// Is it permitted?
    Permitted(bool),
    /// The client has as many grants and revocations as it may.
    TooMany,
}

/// What a node knows of a client: what it has anyway, because a connection keeps nothing for this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// Where the client, or a proxy, connects from.
    pub(crate) remote_ip: Option<IpAddr>,
}

/// Asks the node of a client, for 5 s at most. [`AskError::Offline`] if nobody has the id.
pub(crate) async fn ask(
    cluster: &Cluster,
    id: &str,
    request: &ClientRequest,
) -> Result<ClientReply, AskError> {
    let reply = cluster.ask(id, encode(request)).await?;
    decode(&reply).ok_or(AskError::Unsupported)
}

/// Asks the node of a client what it knows of it. Otherwise as [`ask`].
pub(crate) async fn describe(cluster: &Cluster, id: &str) -> Result<Description, AskError> {
    let reply = cluster.ask(id, encode(&ClientRequest::Describe)).await?;
    decode(&reply).ok_or(AskError::Unsupported)
}

/// Answers a request about a connection of this node.
pub(crate) fn answer(connection: &Connection, request: &[u8]) -> Result<Bytes, RequestError> {
    let reply = match decode_request(request)? {
        ClientRequest::Close { reason } => {
            close::close(connection, reason.as_deref());
            ClientReply::Done
        }
        ClientRequest::LeaveAllGroups => {
            node::leave_all(connection);
            ClientReply::Done
        }
        ClientRequest::Grant(permission, group) => {
            done(permissions(connection)?.lock().grant(permission, &group))
        }
        ClientRequest::Revoke(permission, group) => {
            done(permissions(connection)?.lock().revoke(permission, &group))
        }
        ClientRequest::IsPermitted(permission, group) => {
            ClientReply::Permitted(permissions(connection)?.lock().permit(permission, &group))
        }
        ClientRequest::Describe => {
            let remote = connection.remote_addr();
            let remote_ip = remote.map(|remote| remote.ip().to_canonical());
            return Ok(encode(&Description { remote_ip }));
        }
    };
    Ok(encode(&reply))
}

fn permissions(connection: &Connection) -> Result<Arc<SharedPermissions>, RequestError> {
    let permissions = connection.data::<SharedPermissions>();
    permissions.ok_or_else(RequestError::unsupported)
}

fn done(outcome: Result<(), TooManyOverrides>) -> ClientReply {
    match outcome {
        Ok(()) => ClientReply::Done,
        Err(TooManyOverrides) => ClientReply::TooMany,
    }
}
