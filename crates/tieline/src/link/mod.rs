//! The streams between nodes, and the port on which peers meet.
//!
//! Owns how posts reach a peer and how their outcomes come back: [`Link`] is the opener's side of one
//! stream, [`Port`] answers the streams of others and the unary service of go-websocket. Must not know
//! the hub, the registry or routes: what posts mean is the business of a [`Receiver`], what becomes of
//! them that of a [`Ticket`].
//!
//! Invariants: each post is sent at most once, and its ticket hears exactly one outcome, within a second;
//! posts of one link are received in order; `Unsent` is said only of what never left this process; every
//! queue is bounded; every task is tracked and ends with its link or port.

mod admission;
mod answerer;
mod interest;
mod opener;
mod outcome;
mod port;
mod posting;
mod probe;
mod security;
mod settings;
mod tls;
mod transport;
pub(crate) mod wire;

pub(crate) use self::{
    answerer::{Answer, BoxFuture, Peer, Receiver, Reply},
    interest::{Interest, hash},
    opener::Link,
    outcome::{Outcome, Ticket, Unsent},
    port::Port,
    posting::EmitTo,
    probe::{Probed, probe},
    settings::Settings,
    wire::Post,
};
#[cfg(test)]
use self::{opener::Standing, probe::ProbeError};
pub use self::{
    security::{PeerSecurity, SecurityError},
    tls::PeerTls,
};

#[cfg(test)]
mod tests;
