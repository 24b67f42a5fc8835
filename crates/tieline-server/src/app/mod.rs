//! What every wire shares.
//!
//! Owns hubs, keys and tokens, who may connect, what a client may do, payloads, the operations that a
//! client or a backend may ask for, and the event handler. Must not know any wire: neither its frames nor its URLs. A
//! wire hands in payloads, which the dialects of all wires can read.

pub(crate) mod about;
pub(crate) mod access;
pub(crate) mod certificate;
pub(crate) mod channels;
pub(crate) mod client_data;
pub(crate) mod clock;
pub(crate) mod close;
pub(crate) mod connection_log;
pub(crate) mod cuts;
pub(crate) mod emit;
pub(crate) mod event_queue;
pub(crate) mod events;
pub(crate) mod filter;
pub(crate) mod follow;
pub(crate) mod handshakes;
pub(crate) mod hubs;
pub(crate) mod inspection;
pub(crate) mod json_text;
pub(crate) mod jwks;
pub(crate) mod key;
pub(crate) mod limits;
pub(crate) mod members;
pub(crate) mod memberships;
pub(crate) mod name;
pub(crate) mod notices;
pub(crate) mod opened;
pub(crate) mod operations;
pub(crate) mod pattern;
pub(crate) mod payload;
pub(crate) mod permissions;
pub(crate) mod reach;
pub(crate) mod refusals;
pub(crate) mod role;
pub(crate) mod sampled;
pub(crate) mod send;
pub(crate) mod token;
