//! Operations on one client: on a connection of this node, or as a request to a peer.
//!
//! Must not know where the client is, nor how its node was found.

use std::sync::Arc;

use bytes::Bytes;
use tieline_websocket::{CloseFrame, Frame, FrameKind};

use super::outcome::outcome_code;
use crate::{
    hub::{ConnectionInner, Hub, JoinError},
    link::{
        Completion, Link, RequestKind, RequestRef,
        proto::{self, OutcomeCode},
    },
    receipt::Receipt,
};

/// An operation on one client.
#[derive(Debug, Clone)]
pub(super) enum ClientOp {
    Emit(Frame),
    Close(CloseFrame),
    Join(Arc<str>),
    Leave(Arc<str>),
}

/// The outcome of an operation on a connection of this node.
pub(super) enum LocalOutcome {
    Decided(OutcomeCode),
    /// The frame waits behind others in its shard.
    Pending(Receipt),
}

impl ClientOp {
    /// The bytes of its payload.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Emit(frame) => frame.payload().len(),
            Self::Close(frame) => frame.reason.len(),
            Self::Join(group) | Self::Leave(group) => group.len(),
        }
    }

    /// Applies it to a connection of this node.
    pub(super) fn apply(&self, hub: &Hub, conn: &Arc<ConnectionInner>) -> LocalOutcome {
        let connection = || hub.handle(Arc::clone(conn));
        LocalOutcome::Decided(match self {
            Self::Emit(frame) => {
                let mut receipt = hub.emit_to(conn, frame.clone());
                match receipt.try_outcome() {
                    Some(delivery) => outcome_code(delivery),
                    None => return LocalOutcome::Pending(receipt),
                }
            }
            Self::Close(frame) => {
                connection().close(frame.clone());
                OutcomeCode::Delivered
            }
            Self::Join(group) => match connection().join(group) {
                Ok(true) => OutcomeCode::Delivered,
                Ok(false) => OutcomeCode::Unchanged,
                Err(JoinError::TooMany(_)) => OutcomeCode::TooMany,
                Err(JoinError::Closed) => OutcomeCode::NotHere,
                Err(JoinError::Name(_)) => OutcomeCode::Invalid,
            },
            Self::Leave(group) if connection().leave(group) => OutcomeCode::Delivered,
            Self::Leave(_) => OutcomeCode::Unchanged,
        })
    }

    /// Sends it to the peer that has the client.
    pub(super) fn send<C: Completion>(&self, link: &Link<C>, id: &str, completion: C) {
        let bytes = |name: &str| Bytes::copy_from_slice(name.as_bytes());
        let request = match self {
            Self::Emit(frame) => {
                let (data, binary) = (frame.payload(), frame.kind() == FrameKind::Binary);
                return link.send(&RequestRef { id, data, binary }, completion);
            }
            Self::Close(frame) => RequestKind::Close(proto::Close {
                id: bytes(id),
                code: frame.code.as_u16().into(),
                reason: bytes(&frame.reason),
            }),
            Self::Join(group) | Self::Leave(group) => RequestKind::Membership(proto::Membership {
                id: bytes(id),
                group: bytes(group),
                leave: matches!(self, Self::Leave(_)),
            }),
        };
        link.send(&request, completion);
    }
}
