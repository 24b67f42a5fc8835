//! An operation on one client, and its outcome.
//!
//! Plain values. Must not know where the client is, nor how its node was found.

use std::sync::Arc;

use bytes::Bytes;
use tieline_websocket::CloseFrame;
use tokio::time::Instant;

use super::content::Cast;
use crate::delivery::Delivery;

/// An operation on one client.
#[derive(Debug, Clone)]
pub(crate) enum ClientOp {
    Emit(Cast),
    Close(CloseFrame),
    Join(Arc<str>),
    Leave(Arc<str>),
    Ask(AskOp),
}

/// A request to the handler of the client's node.
#[derive(Debug, Clone)]
pub(crate) struct AskOp {
    /// The number by which its answer finds back.
    pub(crate) number: u64,
    pub(crate) request: Bytes,
    pub(crate) deadline: Instant,
}

/// The outcome of an operation on a connection of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpOutcome {
    /// Of an emit or a close.
    Sent(Delivery),
    /// The client of an ask is here: whoever asks begins now.
    Here,
    /// The client joined or left the group.
    Changed,
    /// It was a member already, or none.
    Unchanged,
    /// It is in as many groups as allowed.
    TooManyGroups,
    /// The group's name is empty or too long.
    InvalidName,
    /// The connection has ended.
    Closed,
    /// The connection that waited for its admission was not admitted, and nothing was done; or none
    /// waits.
    NotAdmitted,
}

impl ClientOp {
    /// The bytes of its payload.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Emit(cast) => cast.len(),
            Self::Close(frame) => frame.reason.len(),
            Self::Join(group) | Self::Leave(group) => group.len(),
            Self::Ask(ask) => ask.request.len(),
        }
    }

    /// The moment from which nobody waits for it any more.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Ask(ask) => Some(ask.deadline),
            Self::Emit(_) | Self::Close(_) | Self::Join(_) | Self::Leave(_) => None,
        }
    }
}
