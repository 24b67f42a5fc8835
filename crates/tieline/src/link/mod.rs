//! The streams between nodes, and the port on which peers meet.
//!
//! Owns how posts reach a peer and how their outcomes come back: [`Link`] is the opener's side of one
//! stream, [`PeerServer`] answers the streams of others and the unary service of go-websocket. Must not know
//! the hub, the registry or routes: what posts mean is the business of a [`Receiver`], what becomes of
//! them that of a [`Completion`].
//!
//! Invariants: each post is sent at most once, and its ticket hears exactly one outcome, within a second;
//! posts of one link are received in order; `NotSent` is said only of what never left this process; every
//! queue is bounded; every task is tracked and ends with its link or port.

mod authorizer;
mod codec;
mod config;
mod inbound;
mod interest;
mod outbound;
mod outcome;
mod probe;
pub(crate) mod proto;
mod security;
mod server;
mod transport;

pub use self::security::{PeerSecurity, PeerTls, SecurityError};
pub(crate) use self::{
    codec::RequestRef,
    config::LinkConfig,
    inbound::{BoxFuture, MaybeReady, PeerInfo, Receiver, Response},
    interest::{Interest, hash},
    outbound::Link,
    outcome::{Completion, NotSent, Outcome},
    probe::{Probed, probe},
    proto::RequestKind,
    server::PeerServer,
};
#[cfg(test)]
use self::{outbound::LinkStatus, probe::ProbeError};

#[cfg(test)]
mod tests;
