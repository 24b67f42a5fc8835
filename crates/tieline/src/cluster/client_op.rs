//! Operations on one client: on a connection of this node, or as a request to a peer.
//!
//! Must not know where the client is, nor how its node was found.

use std::sync::Arc;

use bytes::Bytes;
use tieline_registry::id;
use tokio::time::Instant;

use super::{outcome::outcome_code, wire_content::WireContent};
use crate::{
    ask::AskError,
    close::CloseReason,
    hub::{ClientOp, ConnectionInner, Hub, JoinError, OpOutcome, RunningRequest},
    link::{
        Completion, EmitRef, EmitRequest, Link, NamespacedRef, RequestKind,
        proto::{self, OutcomeCode},
    },
    receipt::Receipt,
};

/// The outcome of an operation on a connection of this node.
pub(super) enum LocalOutcome {
    Decided(OutcomeCode),
    /// The message waits behind others in its shard.
    Pending(Receipt),
    /// A callback answers.
    Begun(RunningRequest),
}

/// The outcome of an operation that may have waited for an admission; `None` if there was none.
pub(super) fn code_after_admission(outcome: OpOutcome) -> Option<OutcomeCode> {
    Some(match outcome {
        OpOutcome::Sent(delivery) => outcome_code(delivery),
        OpOutcome::Changed | OpOutcome::Here => OutcomeCode::Delivered,
        OpOutcome::Unchanged => OutcomeCode::Unchanged,
        OpOutcome::TooManyGroups => OutcomeCode::TooMany,
        OpOutcome::InvalidName => OutcomeCode::Invalid,
        OpOutcome::Closed => OutcomeCode::NotHere,
        OpOutcome::NotAdmitted => return None,
    })
}

/// Why a request is not answered, as this node reports it to a peer.
pub(super) fn code_of_refusal(error: &AskError) -> OutcomeCode {
    match error {
        AskError::Busy => OutcomeCode::Refused,
        _ => OutcomeCode::Invalid,
    }
}

impl ClientOp {
    /// Applies it to a connection of this node.
    pub(super) fn apply(&self, hub: &Hub, conn: &Arc<ConnectionInner>) -> LocalOutcome {
        LocalOutcome::Decided(match self {
            Self::Emit(cast) => {
                let mut receipt = hub.emit_to(conn, cast.clone());
                match receipt.try_outcome() {
                    Some(delivery) => outcome_code(delivery),
                    None => return LocalOutcome::Pending(receipt),
                }
            }
            Self::Close(frame) => {
                hub.close_connection(conn, CloseReason::Application(frame.clone()));
                OutcomeCode::Delivered
            }
            Self::Join(group) => match hub.join(conn, Arc::clone(group)) {
                Ok(true) => OutcomeCode::Delivered,
                Ok(false) => OutcomeCode::Unchanged,
                Err(JoinError::TooMany(_)) => OutcomeCode::TooMany,
                Err(JoinError::Closed) => OutcomeCode::NotHere,
                Err(JoinError::Name(_)) => OutcomeCode::Invalid,
            },
            Self::Leave(group) if hub.leave(conn, group) => OutcomeCode::Delivered,
            Self::Leave(_) => OutcomeCode::Unchanged,
            Self::Ask(ask) => match hub.start_request(conn, ask.request.clone(), ask.deadline) {
                Ok(running) => return LocalOutcome::Begun(running),
                Err(error) => code_of_refusal(&error),
            },
        })
    }

    /// Sends it to the peer that has the client with this key.
    pub(super) fn send<C: Completion>(&self, link: &Link<C>, id: &str, completion: C) {
        let (namespace, id) = id::split(id);
        let bytes = |name: &str| Bytes::copy_from_slice(name.as_bytes());
        let request = match self {
            Self::Emit(cast) => {
                let WireContent {
                    data,
                    binary,
                    kind,
                    about,
                } = WireContent::of(cast);
                let emit = EmitRef {
                    id,
                    data,
                    binary,
                    kind,
                    about,
                    report: cast.tracker().map_or(0, |it| link.expect_report(it)),
                };
                return link.send(&EmitRequest::new(namespace, emit), completion);
            }
            Self::Close(frame) => RequestKind::Close(proto::Close {
                id: bytes(id),
                code: frame.code.as_u16().into(),
                reason: bytes(&frame.reason),
            }),
            Self::Join(group) | Self::Leave(group) => RequestKind::Membership(proto::Membership {
                id: bytes(id),
                group: bytes(id::split(group).1),
                leave: matches!(self, Self::Leave(_)),
            }),
            Self::Ask(ask) => {
                let left = ask.deadline.saturating_duration_since(Instant::now());
                RequestKind::Ask(proto::Ask {
                    id: bytes(id),
                    data: ask.request.clone(),
                    number: ask.number,
                    timeout: u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1),
                })
            }
        };
        let request = NamespacedRef {
            namespace,
            request: &request,
        };
        link.send(&request, completion);
    }
}
