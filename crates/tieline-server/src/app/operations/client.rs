//! Requests to the node of one client.
//!
//! Owns what is done there. Must not know who asks, or whether that is allowed.

use std::{net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};
use tieline::{AskError, Bytes, Cluster, Connection, JoinError, RequestError};
use tracing::Instrument;

use super::{GroupChanged, decode, decode_request, encode, encode_request, node};
use crate::app::{
    client_data::{ClientKind, SharedClientData},
    close,
    permissions::TooManyOverrides,
    role::Permission,
};

/// What is asked about a client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ClientRequest {
    Close { reason: Option<String> },
    Join(String),
    Leave(String),
    LeaveAllGroups,
    Grant(Permission, String),
    Revoke(Permission, String),
    IsPermitted(Permission, String),
    Describe,
}

/// Why a backend does not decide which groups a client is in.
const OWN_CHANNELS: &str = "the connection is a client of Pusher Channels, which chooses its channels itself and would \
                            not know of others; close it instead";

impl ClientRequest {
    /// The answer for a client of Pusher Channels, where it is not that for others.
    fn answer_for_pusher(&self) -> Option<Result<Bytes, RequestError>> {
        match self {
            Self::Join(_)
            | Self::Leave(_)
            | Self::LeaveAllGroups
            | Self::Grant(..)
            | Self::Revoke(..) => Some(Err(RequestError::refused(OWN_CHANNELS))),
            Self::IsPermitted(..) => Some(Ok(encode(&ClientReply::Permitted(false)))),
            Self::Close { .. } | Self::Describe => None,
        }
    }
}

/// What its node did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ClientReply {
    Done,
    /// Is it permitted?
    Permitted(bool),
    /// The client has as many grants and revocations as it may, or is in as many groups.
    TooMany,
    /// The client is leaving.
    Gone,
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
    let reply = cluster.ask(id, encode_request(request)).await?;
    decode(&reply).ok_or(AskError::Unsupported)
}

/// Asks the node of a client what it knows of it. Otherwise as [`ask`].
pub(crate) async fn describe(cluster: &Cluster, id: &str) -> Result<Description, AskError> {
    let reply = cluster
        .ask(id, encode_request(&ClientRequest::Describe))
        .await?;
    decode(&reply).ok_or(AskError::Unsupported)
}

/// Answers a request about a connection of this node. Tells `changed` of groups that it joins or leaves.
pub(crate) async fn answer(
    cluster: &Cluster,
    connection: &Connection,
    request: &[u8],
    changed: &impl GroupChanged,
) -> Result<Bytes, RequestError> {
    let (request, span) = decode_request(request)?;
    carry_out(cluster, connection, request, changed)
        .instrument(span)
        .await
}

async fn carry_out(
    cluster: &Cluster,
    connection: &Connection,
    request: ClientRequest,
    changed: &impl GroupChanged,
) -> Result<Bytes, RequestError> {
    if ClientKind::of(connection) == ClientKind::Pusher
        && let Some(answer) = request.answer_for_pusher()
    {
        return answer;
    }
    let reply = match request {
        ClientRequest::Close { reason } => {
            close::close(connection, reason.as_deref());
            ClientReply::Done
        }
        ClientRequest::Join(group) => match node::join(connection, &group, changed) {
            Ok(()) => {
                // So that what any node sends to the group from now on arrives.
                cluster.synced().await;
                ClientReply::Done
            }
            Err(JoinError::Closed) => ClientReply::Gone,
            Err(_) => ClientReply::TooMany,
        },
        ClientRequest::Leave(group) => {
            node::leave(connection, &group, changed);
            ClientReply::Done
        }
        ClientRequest::LeaveAllGroups => {
            node::leave_all(connection, changed);
            ClientReply::Done
        }
        ClientRequest::Grant(permission, group) => {
            done(data(connection)?.lock().grant(permission, &group))
        }
        ClientRequest::Revoke(permission, group) => {
            done(data(connection)?.lock().revoke(permission, &group))
        }
        ClientRequest::IsPermitted(permission, group) => {
            ClientReply::Permitted(data(connection)?.lock().permit(permission, &group))
        }
        ClientRequest::Describe => {
            let remote = connection.remote_addr();
            let remote_ip = remote.map(|remote| remote.ip().to_canonical());
            return Ok(encode(&Description { remote_ip }));
        }
    };
    Ok(encode(&reply))
}

fn data(connection: &Connection) -> Result<Arc<SharedClientData>, RequestError> {
    let data = connection.data::<SharedClientData>();
    data.ok_or_else(RequestError::unsupported)
}

fn done(outcome: Result<(), TooManyOverrides>) -> ClientReply {
    match outcome {
        Ok(()) => ClientReply::Done,
        Err(TooManyOverrides) => ClientReply::TooMany,
    }
}
