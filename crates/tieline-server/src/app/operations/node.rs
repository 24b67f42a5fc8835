//! Requests to all nodes: each does its part with the connections that it has.
//!
//! Owns what is done on a node, and how the parts are put together. Must not know who asks. Invariants: a walk
//! over many connections lets other tasks run in between; a part that is missing is counted, with the reason in
//! the log of the caller.

use std::{collections::HashSet, sync::Arc};

use serde::{Deserialize, Serialize};
use tieline::{AskError, Bytes, Cluster, Connection, JoinError, RequestError};
use tracing::Instrument;

use super::{GroupChanged, decode, decode_request, encode, encode_request, listing::GroupPage};
use crate::app::{client_data::ClientKind, close, events::GroupChange, filter, hubs::HubHandle};

/// Closes, joins and leaves between two chances for other tasks.
const SLICE: usize = 128;

/// A request, and the namespace that it is about.
#[derive(Debug, Serialize, Deserialize)]
struct NodeRequest<O> {
    namespace: String,
    operation: O,
}

/// What each node is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum NodeOperation {
    Close {
        whom: Whom,
        excluded: Vec<String>,
        reason: Option<String>,
    },
    Join {
        whom: Whom,
        groups: Vec<String>,
    },
    Leave {
        whom: Whom,
        /// `None`: all of them.
        groups: Option<Vec<String>>,
    },
    /// A page of the members of a group: at most `limit`, in order, after the id `after`.
    Members {
        group: String,
        after: String,
        limit: usize,
    },
    /// A page of the groups that begin with `prefix`, in order, after the name `after`.
    Groups {
        prefix: String,
        after: String,
    },
}

/// The connections that an operation is about.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Whom {
    Everyone,
    Group(String),
    User(String),
    /// A filter that can be read.
    Matching(String),
}

/// The part of one node.
#[derive(Debug, Default, Serialize, Deserialize)]
struct NodePart {
    connections: u64,
    refused: u64,
    members: Vec<Member>,
    more: bool,
    #[serde(default)]
    groups: GroupPage,
}

/// A member of a group.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Member {
    #[serde(rename = "connectionId")]
    pub(crate) id: String,
    #[serde(rename = "userId", skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
}

/// The parts of all nodes.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// The connections that it was about.
    pub(crate) connections: u64,
    /// Those of them that are in as many groups as they may be, or choose their groups themselves.
    pub(crate) refused: u64,
    /// In order, a page of them.
    pub(crate) members: Vec<Member>,
    pub(crate) more: bool,
    /// A page of the groups.
    pub(crate) groups: GroupPage,
    /// Nodes that did not answer, by address.
    pub(crate) missed: Vec<(Arc<str>, AskError)>,
}

/// Asks every node, for 5 s at most. Costs a message to each, whether or not it has such connections.
pub(crate) async fn ask_all(hub: &HubHandle, operation: &NodeOperation) -> Parts {
    let namespace = hub.name().as_str().to_owned();
    let replies = hub.cluster().ask_all(encode_request(&NodeRequest {
        namespace,
        operation,
    }));
    let (mut parts, mut groups) = (Parts::default(), Vec::new());
    for reply in replies.await {
        let part = reply.reply.and_then(|reply| {
            let part = decode::<NodePart>(&reply);
            part.ok_or(AskError::Unsupported)
        });
        match part {
            Ok(mut part) => {
                groups.push(std::mem::take(&mut part.groups));
                parts.add(part);
            }
            Err(error) => parts.missed.push((reply.node.unwrap_or_default(), error)),
        }
    }
    if let NodeOperation::Members { limit, .. } = operation {
        parts.members.sort_unstable();
        parts.more |= parts.members.len() > *limit;
        parts.members.truncate(*limit);
    }
    parts.groups = GroupPage::merge(groups);
    parts
}

impl Parts {
    fn add(&mut self, part: NodePart) {
        self.connections += part.connections;
        self.refused += part.refused;
        self.members.extend(part.members);
        self.more |= part.more;
    }
}

/// Answers a request to this node. `cluster` may be in any namespace. Tells `changed` of connections that join or
/// leave groups.
pub(crate) async fn answer(
    cluster: &Cluster,
    request: &[u8],
    changed: &impl GroupChanged,
) -> Result<Bytes, RequestError> {
    let (request, span) = decode_request::<NodeRequest<_>>(request)?;
    let cluster = cluster.namespace(&request.namespace)?;
    carry_out(&cluster, request.operation, changed)
        .instrument(span)
        .await
}

async fn carry_out(
    cluster: &Cluster,
    operation: NodeOperation,
    changed: &impl GroupChanged,
) -> Result<Bytes, RequestError> {
    let part = match operation {
        NodeOperation::Close {
            whom,
            excluded,
            reason,
        } => {
            let excluded: HashSet<_> = excluded.into_iter().collect();
            let close = |connection: &Connection| {
                if !excluded.contains(connection.id().as_str()) {
                    close::close(connection, reason.as_deref());
                }
                Ok(())
            };
            for_each(whom.connections(cluster)?, 1, close).await
        }
        NodeOperation::Join { whom, groups } => {
            let join = |connection: &Connection| {
                may_change_groups(connection)?;
                let mut groups = groups.iter();
                groups.try_for_each(|group| Ok(join(connection, group, changed)?))
            };
            let part = for_each(whom.connections(cluster)?, groups.len(), join).await;
            if part.connections > 0 {
                // So that what any node sends to the groups from now on arrives.
                cluster.synced().await;
            }
            part
        }
        NodeOperation::Leave { whom, groups } => {
            let leave = |connection: &Connection| {
                may_change_groups(connection)?;
                match &groups {
                    Some(groups) => groups
                        .iter()
                        .for_each(|group| leave(connection, group, changed)),
                    None => leave_all(connection, changed),
                }
                Ok(())
            };
            let each = groups.as_ref().map_or(1, Vec::len);
            for_each(whom.connections(cluster)?, each, leave).await
        }
        NodeOperation::Members {
            group,
            after,
            limit,
        } => members(cluster, &group, &after, limit),
        NodeOperation::Groups { prefix, after } => NodePart {
            groups: GroupPage::of(cluster.hub(), &prefix, &after),
            ..NodePart::default()
        },
    };
    Ok(encode(&part))
}

impl Whom {
    fn connections(&self, cluster: &Cluster) -> Result<Vec<Connection>, RequestError> {
        let hub = cluster.hub();
        Ok(match self {
            Self::Everyone => hub.connections(),
            Self::Group(group) => hub.members(group),
            Self::User(user) => hub.user(user),
            Self::Matching(text) => {
                let admits = filter::compile(text.as_bytes());
                let admits = admits.ok_or_else(|| RequestError::refused("invalid filter"))?;
                let mut connections = hub.connections();
                connections.retain(|connection| admits(connection));
                connections
            }
        })
    }
}

/// Why a connection was left as it is.
enum LeftOut {
    Ended,
    Refused,
}

impl From<JoinError> for LeftOut {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Closed => Self::Ended,
            _ => Self::Refused,
        }
    }
}

/// Clients of Pusher Channels choose their channels themselves.
fn may_change_groups(connection: &Connection) -> Result<(), LeftOut> {
    match ClientKind::of(connection) {
        ClientKind::WebPubSub => Ok(()),
        ClientKind::Pusher => Err(LeftOut::Refused),
    }
}

/// Does it to each connection, which takes about so many steps `each`. One that has ended meanwhile does not count.
async fn for_each<T>(
    connections: Vec<T>,
    each: usize,
    mut act: impl FnMut(&T) -> Result<(), LeftOut>,
) -> NodePart {
    let mut part = NodePart::default();
    let mut steps = 0;
    for connection in &connections {
        match act(connection) {
            Ok(()) => part.connections += 1,
            Err(LeftOut::Ended) => {}
            Err(LeftOut::Refused) => {
                part.connections += 1;
                part.refused += 1;
            }
        }
        steps += each;
        if steps >= SLICE {
            steps = 0;
            tokio::task::yield_now().await;
        }
    }
    part
}

pub(super) fn join(
    connection: &Connection,
    group: &str,
    changed: &impl GroupChanged,
) -> Result<(), JoinError> {
    if connection.join(group)? {
        changed(connection, GroupChange::Joined, group);
    }
    Ok(())
}

pub(super) fn leave(connection: &Connection, group: &str, changed: &impl GroupChanged) {
    if connection.leave(group) {
        changed(connection, GroupChange::Left, group);
    }
}

pub(super) fn leave_all(connection: &Connection, changed: &impl GroupChanged) {
    for group in connection.groups() {
        leave(connection, &group, changed);
    }
}

fn members(cluster: &Cluster, group: &str, after: &str, limit: usize) -> NodePart {
    let members = cluster.hub().members(group).into_iter();
    let later = members.filter(|connection| connection.id().as_str() > after);
    let mut later: Vec<_> = later.collect();
    let more = later.len() > limit;
    if more {
        later.select_nth_unstable_by(limit, |one, other| one.id().cmp(other.id()));
        later.truncate(limit);
    }
    let members = later.iter().map(|connection| Member {
        id: connection.id().as_str().to_owned(),
        user: connection.user().map(str::to_owned),
    });
    NodePart {
        members: members.collect(),
        more,
        ..NodePart::default()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn other_tasks_run_after_so_many_steps_however_many_a_connection_takes() {
        for (each, pauses) in [(1, 2), (SLICE / 2, SLICE), (1000, 2 * SLICE)] {
            let done = for_each(vec![(); 2 * SLICE], each, |()| Ok(()));
            let mut done = std::pin::pin!(done);
            for pause in 0..pauses {
                let is_pending = poll!(&mut done).is_pending();
                assert!(is_pending, "{each} steps each, {pause} pauses");
            }
            assert_eq!(done.await.connections, 2 * SLICE as u64);
        }
    }
}
