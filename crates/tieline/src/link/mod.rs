//! Links: the streams between nodes, and the server that accepts them.
//!
//! Owns how requests reach a peer and how their outcomes come back. [`Link`] is the outbound side of one
//! stream; [`PeerServer`] accepts the streams of peers and serves the unary service of go-websocket. Must
//! not know the hub, the registry or routes: a [`Receiver`] knows what requests mean, a [`Completion`] what to
//! do with an outcome.
//!
//! Invariants: each request is sent at most once, and its completion gets exactly one outcome, within a
//! second; requests of one link are received in order; `NotSent` is reported only for requests that never
//! left this process; every queue is bounded; every task is tracked and ends with its link or server.

mod answers;
mod authorizer;
mod caller;
mod codec;
mod config;
mod greeting;
mod inbound;
mod interest;
mod outbound;
mod outcome;
mod places;
mod probe;
pub(crate) mod proto;
mod reports;
mod security;
mod server;
mod transport;

pub use self::security::{PeerSecurity, PeerTls, SecurityError};
pub(crate) use self::{
    answers::{Answers, PendingAnswer},
    codec::{EmitRef, EmitRequest, NamespacedRef},
    config::{LinkConfig, PeerClock},
    inbound::{BoxFuture, MaybeReady, PeerInfo, Receiver, Response},
    interest::{Interest, hash},
    outbound::Link,
    outcome::{Completion, NotSent, Outcome, code},
    probe::{ProbeResult, probe},
    proto::RequestKind,
    server::PeerServer,
};
#[cfg(test)]
use self::{outbound::LinkStatus, probe::ProbeError};

#[cfg(test)]
mod tests;
