//! What became of messages to many, and of questions, across nodes.

use std::{fmt, sync::Arc};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    delivery::{Delivery, Reached},
    receipt::{Receipt, ReceiptSender},
};

/// What became of a message to many clients of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Connections by what became of the message, over all nodes that answered.
    pub reached: Reached,
    /// What each node answered, this one included; nodes that have nobody to reach are not asked.
    pub nodes: Vec<NodeReached>,
}

/// What one node did with a message to many.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeReached {
    /// The node's address; `None` is a node that advertises none, which can only be this one.
    pub node: Option<Arc<str>>,
    /// Its connections by what became of the message; or why that is not known:
    /// [`Delivery::Unreachable`] and [`Delivery::QueueFull`] where nothing was sent,
    /// [`Delivery::Unknown`] where no answer came in time.
    pub outcome: Result<Reached, Delivery>,
}

impl Summary {
    /// The nodes that were not reached, or did not answer, by name.
    pub fn missed(&self) -> impl Iterator<Item = (&str, Delivery)> {
        self.nodes.iter().filter_map(|part| {
            let why = part.outcome.err()?;
            Some((part.node.as_deref().unwrap_or_default(), why))
        })
    }

    /// Whether every node answered, and with whole counts.
    pub fn is_complete(&self) -> bool {
        self.missed().next().is_none() && !self.reached.incomplete
    }
}

/// The summary of a hub alone.
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

/// Gathers the parts of one message; the last decides the receipt.
#[derive(Debug)]
pub(super) struct SummaryBuilder(Mutex<BuilderState>);

#[derive(Debug)]
struct BuilderState {
    open: usize,
    summary: Summary,
    sender: Option<ReceiptSender<Summary>>,
}

impl SummaryBuilder {
    /// A gathering that stays open until [`SummaryBuilder::close`], and its receipt.
    pub(super) fn open() -> (Arc<Self>, Receipt<Summary>) {
        let (sender, receipt) = Receipt::channel();
        let state = BuilderState {
            open: 1,
            summary: Summary::default(),
            sender: Some(sender),
        };
        (Arc::new(Self(Mutex::new(state))), receipt)
    }

    /// One more part will come.
    pub(super) fn expect_part(&self) {
        self.0.lock().open += 1;
    }

    /// A part came.
    pub(super) fn add_part(&self, node: Option<Arc<str>>, outcome: Result<Reached, Delivery>) {
        let mut state = self.0.lock();
        if let Ok(reached) = outcome {
            state.summary.reached.add(reached);
        }
        state.summary.nodes.push(NodeReached { node, outcome });
        BuilderState::end_one(state);
    }

    /// All parts are expected.
    pub(super) fn close(&self) {
        BuilderState::end_one(self.0.lock());
    }
}

impl BuilderState {
    /// Ends a part; the last one tells the sum, under no lock.
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

/// Whether a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnlineStatus {
    /// Its node says that it is.
    Online,
    /// No node has it.
    Offline,
    /// The registry or its node cannot be reached.
    Unknown,
}

/// What became of a change of membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Membership {
    /// It is as asked, and was not before.
    Changed,
    /// It was so already.
    Unchanged,
    /// No live connection has that id.
    Offline,
    /// The connection is in as many groups as one may be in.
    TooMany,
    /// The client's node or the registry cannot be reached; nothing was changed.
    Unreachable,
    /// No outcome came; it may or may not have been changed.
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

/// A part of a list that goes over all nodes, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Listed {
    /// Names with the node of each. A user may be on several nodes and comes once for each.
    pub names: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// Whether more sort after the last.
    pub more: bool,
    /// Nodes that did not answer, by name.
    pub missed: Vec<Arc<str>>,
}
