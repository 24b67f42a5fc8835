//! Results of messages to many, and of questions, across nodes.
//!
//! Owns how the parts of one multicast are summed up. Must not know how parts are sent. Invariant: the
//! receipt is decided when every expected part has come and none is expected any more.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use crate::{
    ask::AskError,
    delivery::{Delivery, Reached},
    receipt::{Receipt, ReceiptSender},
};

/// Result of a message to many clients of the cluster.
///
/// ```
/// # use tieline::{Cluster, Config, Hub};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// # let cluster = Cluster::single_node(Hub::new(Config::default())?);
/// let summary = cluster.broadcast("maintenance at noon").await;
/// println!("{} delivered", summary.reached.delivered);
/// for (node, why) in summary.missed() {
///     println!("node {node} was not reached: {why}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Connections by outcome, over all nodes that answered.
    pub reached: Reached,
    /// The result of each node, this one included. Nodes without a receiver are not asked.
    pub nodes: Vec<NodeReached>,
}

/// Result of a message to many on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeReached {
    /// The node's address; `None` for this node if it has no peer port.
    pub node: Option<Arc<str>>,
    /// Its connections by outcome, or why that is not known: [`Delivery::Unreachable`] and
    /// [`Delivery::QueueFull`] if nothing was sent, [`Delivery::Unknown`] if no answer came in time.
    pub outcome: Result<Reached, Delivery>,
}

impl Summary {
    /// The nodes that were not reached or did not answer, by address.
    pub fn missed(&self) -> impl Iterator<Item = (&str, Delivery)> {
        self.nodes.iter().filter_map(|part| {
            let why = part.outcome.err()?;
            Some((part.node.as_deref().unwrap_or_default(), why))
        })
    }

    /// Whether every node answered with complete counts, and could read the filter if there was one.
    pub fn is_complete(&self) -> bool {
        let Reached {
            incomplete,
            filter_refused,
            ..
        } = self.reached;
        self.missed().next().is_none() && !incomplete && !filter_refused
    }
}

/// The summary of a single hub.
impl From<Reached> for Summary {
    fn from(reached: Reached) -> Self {
        let outcome = Ok(reached);
        let nodes = vec![NodeReached {
            node: None,
            outcome,
        }];
        Self { reached, nodes }
    }
}

/// Sums up the parts of one multicast; the last part decides the receipt.
#[derive(Debug)]
pub(super) struct SummaryBuilder(Mutex<BuilderState>);

#[derive(Debug)]
struct BuilderState {
    /// Parts that are expected, and one until no more are.
    open: usize,
    summary: Summary,
    sender: Option<ReceiptSender<Summary>>,
    /// Nodes that this message and others have missed.
    nodes_missed: Arc<AtomicU64>,
}

impl SummaryBuilder {
    /// A builder that expects parts until [`SummaryBuilder::close`], and its receipt.
    pub(super) fn open(nodes_missed: &Arc<AtomicU64>) -> (Arc<Self>, Receipt<Summary>) {
        let (sender, receipt) = Receipt::channel();
        let state = BuilderState {
            open: 1,
            summary: Summary::default(),
            sender: Some(sender),
            nodes_missed: Arc::clone(nodes_missed),
        };
        (Arc::new(Self(Mutex::new(state))), receipt)
    }

    /// Counts a part before it is sent.
    pub(super) fn expect_part(&self) {
        self.0.lock().open += 1;
    }

    /// Adds the part of a node.
    pub(super) fn add_part(&self, node: Option<Arc<str>>, outcome: Result<Reached, Delivery>) {
        let mut state = self.0.lock();
        match outcome {
            Ok(reached) => state.summary.reached.add(reached),
            Err(_) => _ = state.nodes_missed.fetch_add(1, Ordering::Relaxed),
        }
        state.summary.nodes.push(NodeReached { node, outcome });
        BuilderState::end_one(state);
    }

    /// No more parts are to be expected.
    pub(super) fn close(&self) {
        BuilderState::end_one(self.0.lock());
    }
}

impl BuilderState {
    /// Ends a part. The last one decides the receipt, under no lock, since that may run a callback that
    /// sends.
    fn end_one(mut state: MutexGuard<'_, Self>) {
        state.open -= 1;
        if state.open == 0
            && let Some(sender) = state.sender.take()
        {
            let summary = std::mem::take(&mut state.summary);
            drop(state);
            sender.send(summary);
        }
    }
}

/// What one node replied to [`Cluster::ask_all`](crate::Cluster::ask_all).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeReply {
    /// The node's address; `None` for a single node.
    pub node: Option<Arc<str>>,
    /// Its reply, or why there is none: [`AskError::Unreachable`] if it was not asked,
    /// [`AskError::Unsupported`] of a node that runs an older version.
    pub reply: Result<Bytes, AskError>,
}

/// Whether a client is connected.
///
/// ```
/// use tieline::OnlineStatus;
///
/// # use tieline::{Cluster, Config, Hub};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// # let cluster = Cluster::single_node(Hub::new(Config::default())?);
/// let statuses = cluster.online(["alice", "bob"]).await;
/// assert_eq!(statuses, [OnlineStatus::Offline, OnlineStatus::Offline]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnlineStatus {
    /// Its node confirms it.
    Online,
    /// No node has the client.
    Offline,
    /// The registry or the client's node cannot be reached.
    Unknown,
}

/// Result of a change of membership.
///
/// ```
/// use tieline::Membership;
///
/// # use tieline::{Cluster, Config, Hub};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// # let cluster = Cluster::single_node(Hub::new(Config::default())?);
/// match cluster.join_group("alice", "lobby").await {
///     Membership::Changed | Membership::Unchanged => println!("alice is in the lobby"),
///     why => println!("alice did not join: {why}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Membership {
    /// The client joined or left the group.
    Changed,
    /// It was in the group already, or was not in it.
    Unchanged,
    /// No live connection has that id.
    Offline,
    /// The connection is in as many groups as the limit allows.
    TooMany,
    /// The client's node or the registry cannot be reached; nothing was changed.
    Unreachable,
    /// No outcome came in time; the membership may have changed.
    Unknown,
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Offline => "offline",
            Self::TooMany => "too many groups",
            Self::Unreachable => "unreachable",
            Self::Unknown => "unknown",
        })
    }
}

/// A page of a list over all nodes, sorted.
///
/// To read a whole list, continue after the last name while there is [`more`](Self::more):
///
/// ```
/// use std::sync::Arc;
/// use tieline::Cluster;
///
/// async fn members(cluster: &Cluster, group: &str) -> Vec<Arc<str>> {
///     let mut members: Vec<Arc<str>> = Vec::new();
///     loop {
///         let after = members.last().cloned();
///         let page = cluster.members(group, after.as_deref(), 1000).await;
///         members.extend(page.names.into_iter().map(|(name, _node)| name));
///         if !page.more {
///             return members;
///         }
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Listed {
    /// Names, each with the address of its node. A user on several nodes is listed once for each.
    pub names: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// Whether more names follow.
    pub more: bool,
    /// Nodes that did not answer, by address, with the reason: [`AskError::Unreachable`] if they were not asked,
    /// [`AskError::Unsupported`] if their version knows no such list.
    pub missed: Vec<(Arc<str>, AskError)>,
}

/// A count over all nodes.
///
/// ```
/// # use tieline::{Cluster, Config, Hub};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// # let cluster = Cluster::single_node(Hub::new(Config::default())?);
/// let lobby = cluster.group_len("lobby").await;
/// println!("{} in the lobby", lobby.total);
/// for (node, why) in lobby.missed() {
///     println!("not counted: those on {node}: {why}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted<T = u64> {
    /// The sum over all nodes that answered.
    pub total: T,
    /// The count of each node, sorted by address, this one included unless it is a backend. Nodes that have nothing
    /// to count are not asked.
    pub nodes: Vec<NodeCount<T>>,
}

/// The count of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeCount<T = u64> {
    /// The node's address; `None` for a single node.
    pub node: Option<Arc<str>>,
    /// Its count, or why that is not known: [`AskError::Unreachable`] if it was not asked,
    /// [`AskError::Unsupported`] if its version does not count.
    pub count: Result<T, AskError>,
}

impl<T> Counted<T> {
    /// The nodes that were not counted, by address.
    pub fn missed(&self) -> impl Iterator<Item = (&str, &AskError)> {
        self.nodes.iter().filter_map(|part| {
            let why = part.count.as_ref().err()?;
            Some((part.node.as_deref().unwrap_or_default(), why))
        })
    }

    /// Whether every node was counted.
    pub fn is_complete(&self) -> bool {
        self.missed().next().is_none()
    }
}
