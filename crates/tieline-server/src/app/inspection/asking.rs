//! How questions and answers travel.
//!
//! Owns their form and their deadline. Must not know how a node finds its answers.

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tieline::{AskError, Bytes, Cluster};

use super::connections::{ConnectionQuery, ConnectionReport};
use crate::app::follow::FollowQuery;

/// The first byte of these requests and their answers: none of `operations` begins with it. A node of another version
/// answers none of them.
const MARK: u8 = 0x81;

/// How long nodes have for their answers.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What a node calls itself that has no address for others.
pub(crate) const SINGLE_NODE: &str = "local";

/// What is asked of a node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    Node,
    Connections(ConnectionQuery),
    /// Its largest groups, of one hub or of all.
    Groups {
        hub: Option<String>,
    },
    Handlers,
    Refusals,
    /// What happens to a client from now on, or has since it was asked last.
    Follow(FollowQuery),
    /// That it begins its drain.
    Drain {
        /// The node that an operator has asked.
        by: String,
        /// The operator's address.
        from: Option<String>,
    },
}

/// The answers of all nodes.
pub(crate) struct Answers<T> {
    /// With the address of each node.
    pub(crate) parts: Vec<(String, T)>,
    /// The nodes that did not answer.
    pub(crate) missed: Vec<String>,
}

/// Whether a request, of a client's node or of a node, is one of these.
pub(crate) fn is_inspection(request: &[u8]) -> bool {
    request.first() == Some(&MARK)
}

/// Asks every node.
pub(crate) async fn ask_all<T: DeserializeOwned>(
    cluster: &Cluster,
    question: &Question,
) -> Answers<T> {
    let (mut parts, mut missed) = (Vec::new(), Vec::new());
    for reply in cluster.ask_all(encode(question)).timeout(TIMEOUT).await {
        let node = reply
            .node
            .map_or_else(|| SINGLE_NODE.into(), |node| node.to_string());
        match reply.reply.and_then(|bytes| decode_reply(&bytes)) {
            Ok(part) => parts.push((node, part)),
            Err(error) => {
                tracing::debug!(node, %error, "a node did not say how it is doing");
                missed.push(node);
            }
        }
    }
    Answers { parts, missed }
}

/// Asks one node.
pub(crate) async fn ask_node<T: DeserializeOwned>(
    cluster: &Cluster,
    node: &str,
    question: &Question,
) -> Result<T, AskError> {
    let reply = cluster.ask_node(node, encode(question)).timeout(TIMEOUT);
    decode_reply(&reply.await?)
}

/// Asks the node of a client about it. `cluster` is in its namespace.
pub(crate) async fn ask_client(cluster: &Cluster, id: &str) -> Result<ConnectionReport, AskError> {
    let request = Bytes::from_static(&[MARK]);
    decode_reply(&cluster.ask(id, request).timeout(TIMEOUT).await?)
}

pub(super) fn encode(value: &impl Serialize) -> Bytes {
    let mut bytes = vec![MARK];
    serde_json::to_writer(&mut bytes, value).expect("they are made of text, numbers and lists");
    bytes.into()
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes.strip_prefix(&[MARK])?).ok()
}

fn decode_reply<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, AskError> {
    decode(bytes).ok_or(AskError::Unsupported)
}
