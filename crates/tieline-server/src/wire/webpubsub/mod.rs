//! The client side of the Web PubSub wire.
//!
//! Owns the subprotocol `json.webpubsub.azure.v1`, also with numbers, and simple clients: their upgrade, the frames that
//! they send and receive, acks, and close codes, and in `upstream` how events reach the application's
//! servers. Must not know what events mean; that is up to the event handler. Messages to many go through the cluster, which is a single node without a registry.
//! Invariants: each frame with an `ackId` gets exactly one ack; absent properties are left out, never
//! null; a client is sent only frame types that it knows.

mod ack_ids;
mod client;
mod credential;
pub(crate) mod dialects;
mod dispatcher;
pub(crate) mod handler;
mod incoming;
pub(crate) mod label;
mod metadata;
mod outgoing;
mod properties;
mod refused;
pub(crate) mod rest;
mod sender;
mod session;
pub(crate) mod upgrade;
pub(crate) mod upstream;
