//! Outcomes of what is done to clients, translated between peers and callers.
//!
//! Owns [`OpResult`], the result of an operation on one client, and the outcome codes of the link in
//! terms of the public types. Must not know how a message travels. Invariant: `Unreachable` and
//! `Offline` are derived only from outcomes that exclude a delivery.

use tokio::sync::oneshot;

use super::summary::Membership;
use crate::{
    delivery::{Delivery, Reached},
    link::{NotSent, Outcome, proto::OutcomeCode},
    receipt::ReceiptSender,
};

/// The result of an operation on one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpResult {
    Code(OutcomeCode),
    Unreachable,
}

/// Reports the result of an operation to its caller.
#[derive(Debug)]
pub(super) enum ResultSender {
    Delivery(ReceiptSender<Delivery>),
    Membership(oneshot::Sender<Membership>),
}

impl ResultSender {
    /// Sends the result; the caller may have stopped waiting.
    pub(super) fn send(self, result: OpResult) {
        match self {
            Self::Delivery(sender) => sender.send(result.into()),
            Self::Membership(sender) => drop(sender.send(result.into())),
        }
    }
}

/// A delivery as this node reports it to a peer.
pub(super) fn outcome_code(delivery: Delivery) -> OutcomeCode {
    match delivery {
        Delivery::Delivered => OutcomeCode::Delivered,
        Delivery::Offline | Delivery::Unreachable => OutcomeCode::NotHere,
        Delivery::Refused => OutcomeCode::Refused,
        Delivery::QueueFull => OutcomeCode::QueueFull,
        Delivery::Unknown => OutcomeCode::Unknown,
    }
}

/// What a multicast reached on one node, or why that is not known.
pub(super) fn reached(outcome: &Outcome) -> Result<Reached, Delivery> {
    match outcome {
        Outcome::Reached(reached) => Ok(*reached),
        Outcome::NotSent(NotSent::QueueFull) | Outcome::Code(OutcomeCode::QueueFull) => {
            Err(Delivery::QueueFull)
        }
        Outcome::NotSent(NotSent::Unreachable) => Err(Delivery::Unreachable),
        Outcome::Code(_) | Outcome::Listing { .. } | Outcome::Unknown => Err(Delivery::Unknown),
    }
}

impl From<&Outcome> for OpResult {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Code(code) => Self::Code(*code),
            Outcome::NotSent(NotSent::QueueFull) => Self::Code(OutcomeCode::QueueFull),
            Outcome::NotSent(NotSent::Unreachable) => Self::Unreachable,
            Outcome::Reached(_) | Outcome::Listing { .. } | Outcome::Unknown => {
                Self::Code(OutcomeCode::Unknown)
            }
        }
    }
}

impl From<OpResult> for Delivery {
    fn from(result: OpResult) -> Self {
        match result {
            OpResult::Unreachable => Self::Unreachable,
            OpResult::Code(OutcomeCode::Delivered | OutcomeCode::Unchanged) => Self::Delivered,
            OpResult::Code(OutcomeCode::NotHere) => Self::Offline,
            OpResult::Code(OutcomeCode::Refused | OutcomeCode::Invalid | OutcomeCode::TooMany) => {
                Self::Refused
            }
            OpResult::Code(OutcomeCode::QueueFull) => Self::QueueFull,
            OpResult::Code(OutcomeCode::Unknown) => Self::Unknown,
        }
    }
}

impl From<OpResult> for Membership {
    fn from(result: OpResult) -> Self {
        match result {
            OpResult::Code(OutcomeCode::Delivered) => Self::Changed,
            OpResult::Code(OutcomeCode::Unchanged) => Self::Unchanged,
            OpResult::Code(OutcomeCode::NotHere) => Self::Offline,
            OpResult::Code(OutcomeCode::TooMany) => Self::TooMany,
            OpResult::Code(OutcomeCode::QueueFull) | OpResult::Unreachable => Self::Unreachable,
            OpResult::Code(OutcomeCode::Refused | OutcomeCode::Invalid | OutcomeCode::Unknown) => {
                Self::Unknown
            }
        }
    }
}
