//! The outcome of a request, and what waits for it.
//!
//! Owns the result of a request as the user of a link sees it. Must not know streams or queues. Invariant:
//! after [`Outcome::NotSent`], the peer has not received the request; after [`Outcome::Unknown`], it may have.

use bytes::Bytes;

use super::proto::OutcomeCode;
use crate::{counts::Counts, delivery::Reached};

/// The outcome of a request to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Of a request about one client.
    Code(OutcomeCode),
    /// Of a message to many ids, in their order: an [`OutcomeCode`] each.
    Codes(Bytes),
    /// Of a message to many clients.
    Reached(Reached),
    /// Of a query.
    Listing { names: Vec<Bytes>, more: bool },
    /// Of a query that counts.
    Counts(Counts),
    /// The request was certainly not sent.
    NotSent(NotSent),
    /// The request was sent, but no outcome arrived in time or the stream ended first.
    Unknown,
}

/// An outcome code as it was sent; one of a later version is not understood.
pub(crate) fn code(byte: u8) -> OutcomeCode {
    OutcomeCode::try_from(i32::from(byte)).unwrap_or(OutcomeCode::Unknown)
}

/// Why a request was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// The link's queue is full or drains too slowly.
    QueueFull,
    /// The request is larger than the peer or the link's queue accepts.
    TooLarge,
    /// The peer does not respond, or there is no stream to it.
    Unreachable,
    /// The request is about another namespace than the default one, and the peer knows no namespaces: it has
    /// none of its clients.
    NoNamespaces,
}

/// Waits for the outcome of one request. Called exactly once, never under a lock of the link.
pub(crate) trait Completion: Send + 'static {
    fn complete(self, outcome: Outcome);
}
