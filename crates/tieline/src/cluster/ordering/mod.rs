//! Keeps the order of calls while clients are looked up, and while they move.
//!
//! Owns what waits. A message to one client waits in the queue of its client ([`client_queue`]): for the
//! lookup, and for messages that may come back from a node that the client has left. A message to many
//! waits in the queue of its sender ([`sender_queue`]), for what the same sender has waiting there, and
//! everything that the sender sends after it waits behind it. Must not know the registry or links: the
//! caller starts the lookups that it is told to, reports results and outcomes, and is handed what may
//! leave ([`Outlet`]).
//!
//! Invariants:
//! - Messages to one client leave in the order of the calls. Of those that were sent and come back, none
//!   leaves again once a later one may have arrived: one to the same client, or one of the same sender to
//!   many.
//! - A message is sent to another node than the one before it only when that one is decided.
//! - What a sender sends to many leaves after what it sent before and before what it sends after. It
//!   waits for no other sender.
//! - What waits is bounded in messages and bytes. One message always fits, and one that was admitted
//!   before.
//! - While nothing waits, a message within the node costs an atomic load; while something does, two locks
//!   and no search.
//!
//! The lock of a sender may be taken under the lock of a client, never the other way round.

mod budget;
mod client_queue;
mod clients;
mod departure;
mod message;
mod queue;
mod sender;
mod sender_queue;
mod senders;

pub(super) use self::{
    message::{ClientMessage, Destination, Message, Outlet, PendingLookup},
    queue::{OrderingQueue, Started, StartedMulticast},
    sender::SenderId,
};

#[cfg(test)]
mod tests;
