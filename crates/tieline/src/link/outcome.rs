//! What became of a post, and who waits to hear it.

use bytes::Bytes;

use super::proto::OutcomeCode;

/// What became of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Of a post to one client.
    Code(OutcomeCode),
    /// Of a post to many.
    Reached(crate::Reached),
    /// Of a question.
    Listing { names: Vec<Bytes>, more: bool },
    /// It certainly was not sent.
    NotSent(NotSent),
    /// It was sent, and no outcome came in time, or the stream ended first.
    Unknown,
}

/// Why a post was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// The link's queue is full, or moves too slowly.
    QueueFull,
    /// The peer answers nothing, or no stream to it exists.
    Unreachable,
}

/// Who waits for a post's outcome. Hears exactly one, never under a lock of the link.
pub(crate) trait Completion: Send + 'static {
    fn complete(self, outcome: Outcome);
}
