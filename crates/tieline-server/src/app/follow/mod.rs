//! Following a client: what it sends and is sent, and what becomes of it, told to an operator as it happens.
//!
//! Owns who is followed on this node, what is told of them, and how much of it waits. Must not know who asks, nor the
//! syntax of frames: a wire reads that. Invariants: while nobody follows, a callback pays for one load; what waits is
//! bounded, and what was lost is counted; a follow that nobody asks for ends; payloads are told only if the node's
//! configuration allows it.

mod event;
mod fields;
mod follows;
mod one;
mod query;
mod report;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    event::{CONNECTION_HAS_ENDED, FollowEvent, What},
    fields::each_field,
    follows::{FollowPart, Follows},
    query::{FollowQuery, FollowTarget},
    report::{FollowSettings, FrameLabel, cut},
};
