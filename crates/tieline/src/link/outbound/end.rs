//! Why a stream or a dial ended.
//!
//! Owns the distinctions that the log and the next step depend on. Must not know gRPC:
//! [`exchange`](super::exchange) translates its statuses.

pub(super) enum LinkEnd {
    /// The dial failed or the connection broke; the next dial may succeed.
    Broken(String),
    /// The peer's node shut down.
    Shutdown,
    /// The peer refused the link, which takes an operator to resolve.
    Refused(String),
    /// The peer does not know the stream: it supports the unary service only.
    UnaryOnly,
}
