//! Why a stream or a dial ended.
//!
//! Owns the distinctions that the log and the next step depend on. Must not know gRPC:
//! [`exchange`](super::exchange) translates its statuses.

use std::sync::Arc;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum LinkEnd {
    /// The dial failed or the connection broke; the next dial may succeed.
    Broken(String),
    /// The peer's node shut down.
    Shutdown,
    /// The two sides do not belong together; the text says what to do.
    Refused(String),
    /// The registry's list is out of date: another process answers at this address, and wants to be reached
    /// here.
    Replaced,
    /// The address is another spelling of this one, at which the process that answers is reached.
    Alias(Arc<str>),
    /// The peer does not know the stream: it supports the unary service only.
    UnaryOnly,
}
