//! An operation on one client, and its outcome.
//!
//! Plain values. Must not know where the client is, nor how its node was found.

use std::sync::Arc;

use tieline_websocket::CloseFrame;

use super::content::Cast;
use crate::delivery::Delivery;

/// An operation on one client.
#[derive(Debug, Clone)]
pub(crate) enum ClientOp {
    Emit(Cast),
    Close(CloseFrame),
    Join(Arc<str>),
    Leave(Arc<str>),
}

/// The outcome of an operation on a connection of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpOutcome {
    /// Of an emit or a close.
    Sent(Delivery),
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
        }
    }
}
