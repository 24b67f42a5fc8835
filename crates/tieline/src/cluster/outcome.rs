//! Outcomes of what is done to clients, translated between peers and callers.
//!
//! Owns [`OpResult`], the result of an operation on one client, and the outcome codes of the link in
//! terms of the public types. Must not know how a message travels. Invariant: `Unreachable` and
//! `Offline` are derived only from outcomes that exclude a delivery.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::summary::Membership;
use crate::{
    ask::AskError,
    deliveries::DeliverySender,
    delivery::{Delivery, Reached},
    link::{Answers, NotSent, Outcome, proto::OutcomeCode},
    receipt::ReceiptSender,
};

/// The result of an operation on one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpResult {
    Code(OutcomeCode),
    Unreachable,
    /// The request is larger than a link takes.
    TooLarge,
}

/// Reports the result of an operation to its caller.
#[derive(Debug)]
pub(super) enum ResultSender {
    Delivery(ReceiptSender<Delivery>),
    Membership(oneshot::Sender<Membership>),
    Ask(AskSender),
    /// For one of many ids.
    Part(DeliverySender),
}

/// Reports to whoever asks why there is no answer.
#[derive(Debug)]
pub(super) struct AskSender {
    answers: Arc<Answers>,
    number: u64,
}

impl AskSender {
    pub(super) fn new(answers: &Arc<Answers>, number: u64) -> Self {
        let answers = Arc::clone(answers);
        Self { answers, number }
    }

    /// Reports what became of the request. If a peer answers it, the answer comes by itself, unless the link
    /// breaks; so it may if the peer is only slow.
    pub(super) fn send(&self, result: OpResult, peer: Option<&Arc<str>>) {
        match (result.ask_error(), peer) {
            (None | Some(AskError::Unknown), Some(peer)) => self.answers.begun(self.number, peer),
            // The registry does not know where the client is: nobody was asked.
            (Some(AskError::Unknown), None) => self.answer(Err(AskError::Unreachable)),
            (Some(error), _) => self.answer(Err(error)),
            (None, None) => {}
        }
    }

    pub(super) fn answer(&self, answer: Result<Bytes, AskError>) {
        self.answers.answer(self.number, answer);
    }
}

impl ResultSender {
    /// Sends the result, which the peer of this address decided, if one did. The caller may have stopped waiting.
    pub(super) fn send(self, result: OpResult, peer: Option<&Arc<str>>) {
        match self {
            Self::Delivery(sender) => sender.send(result.into()),
            Self::Membership(sender) => drop(sender.send(result.into())),
            Self::Ask(sender) => sender.send(result, peer),
            Self::Part(sender) => sender.send(result.into()),
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
        Outcome::NotSent(NotSent::QueueFull | NotSent::TooLarge)
        | Outcome::Code(OutcomeCode::QueueFull) => Err(Delivery::QueueFull),
        Outcome::NotSent(NotSent::Unreachable) => Err(Delivery::Unreachable),
        // It has nobody there.
        Outcome::NotSent(NotSent::NoNamespaces) => Ok(Reached::default()),
        Outcome::Code(_)
        | Outcome::Codes(_)
        | Outcome::Counts(_)
        | Outcome::Listing { .. }
        | Outcome::Unknown => Err(Delivery::Unknown),
    }
}

/// The answer to a query, or why there is none. A peer without namespaces has nothing in one.
pub(super) fn answered<E>(outcome: Result<Outcome, E>) -> Result<Outcome, AskError> {
    match outcome {
        Ok(
            outcome @ (Outcome::Listing { .. }
            | Outcome::Counts(_)
            | Outcome::NotSent(NotSent::NoNamespaces)),
        ) => Ok(outcome),
        Ok(outcome) => Err(OpResult::from(&outcome)
            .ask_error()
            .unwrap_or(AskError::Unknown)),
        // The node ends.
        Err(_) => Err(AskError::Unknown),
    }
}

impl From<&Outcome> for OpResult {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Code(code) => Self::Code(*code),
            Outcome::NotSent(NotSent::QueueFull) => Self::Code(OutcomeCode::QueueFull),
            Outcome::NotSent(NotSent::TooLarge) => Self::TooLarge,
            Outcome::NotSent(NotSent::Unreachable) => Self::Unreachable,
            Outcome::NotSent(NotSent::NoNamespaces) => Self::Code(OutcomeCode::NotHere),
            Outcome::Reached(_)
            | Outcome::Codes(_)
            | Outcome::Counts(_)
            | Outcome::Listing { .. }
            | Outcome::Unknown => Self::Code(OutcomeCode::Unknown),
        }
    }
}

impl OpResult {
    /// Why an ask has no answer; `None` if a callback answers it.
    pub(super) fn ask_error(self) -> Option<AskError> {
        Some(match self {
            Self::Unreachable => AskError::Unreachable,
            Self::TooLarge => AskError::TooLarge,
            Self::Code(code) => match code {
                OutcomeCode::Delivered | OutcomeCode::Unchanged => return None,
                OutcomeCode::NotHere => AskError::Offline,
                OutcomeCode::Refused => AskError::Busy,
                OutcomeCode::QueueFull => AskError::QueueFull,
                OutcomeCode::Invalid | OutcomeCode::TooMany => AskError::Unsupported,
                OutcomeCode::Unknown => AskError::Unknown,
            },
        })
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
            OpResult::Code(OutcomeCode::QueueFull) | OpResult::TooLarge => Self::QueueFull,
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
            OpResult::Code(OutcomeCode::QueueFull) | OpResult::Unreachable | OpResult::TooLarge => {
                Self::Unreachable
            }
            OpResult::Code(OutcomeCode::Refused | OutcomeCode::Invalid | OutcomeCode::Unknown) => {
                Self::Unknown
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_that_says_no_is_an_error_of_its_own() {
        let why = |outcome: Outcome| OpResult::from(&outcome).ask_error();
        let code = |code| why(Outcome::Code(code));
        assert_eq!(code(OutcomeCode::Delivered), None);
        assert_eq!(code(OutcomeCode::NotHere), Some(AskError::Offline));
        assert_eq!(code(OutcomeCode::Refused), Some(AskError::Busy));
        // What a node of an older version answers, which cannot read the request.
        assert_eq!(code(OutcomeCode::Invalid), Some(AskError::Unsupported));
        let not_sent = |why_not| why(Outcome::NotSent(why_not));
        assert_eq!(not_sent(NotSent::QueueFull), Some(AskError::QueueFull));
        assert_eq!(not_sent(NotSent::TooLarge), Some(AskError::TooLarge));
        assert_eq!(not_sent(NotSent::Unreachable), Some(AskError::Unreachable));
        assert_eq!(why(Outcome::Unknown), Some(AskError::Unknown));
    }

    #[test]
    fn a_node_without_namespaces_has_nobody_in_one() {
        let outcome = Outcome::NotSent(NotSent::NoNamespaces);
        assert_eq!(Delivery::from(OpResult::from(&outcome)), Delivery::Offline);
        assert_eq!(reached(&outcome), Ok(Reached::default()));
        assert_eq!(answered(Ok::<_, ()>(outcome.clone())), Ok(outcome));
    }
}
