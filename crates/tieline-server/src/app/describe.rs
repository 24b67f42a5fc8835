//! What the node of a client knows of it, for whoever asks on another node.
//!
//! Owns the request and its reply, which nodes of different versions send each other. Must not know who asks.
//! Invariant: only what the node has anyway is described; a connection keeps nothing for it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tieline::{AskError, Bytes, Cluster, Connection};

/// The request. Never change it.
const REQUEST: &[u8] = b"describe";

/// What a node knows of a client.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Description {
    /// Where the client, or a proxy, connects from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remote_ip: Option<IpAddr>,
}

/// Asks the node of a client.
pub(crate) async fn describe(cluster: &Cluster, id: &str) -> Result<Description, AskError> {
    let reply = cluster.ask(id, Bytes::from_static(REQUEST)).await?;
    // A reply that cannot be read is from a later version, and describes what this one does not know.
    Ok(serde_json::from_slice(&reply).unwrap_or_default())
}

/// The reply to a request; `None` if it asks for something else.
pub(crate) fn answer(client: &Connection, request: &Bytes) -> Option<Bytes> {
    if request != REQUEST {
        return None;
    }
    let address = client.remote_addr();
    let remote_ip = address.map(|address| address.ip().to_canonical());
    let reply = serde_json::to_vec(&Description { remote_ip });
    Some(reply.expect("an address always serializes").into())
}
