//! The wire of AWS API Gateway: `@connections`, by which a backend reaches a client.
//!
//! Owns the requests POST, GET and DELETE, their signatures, and the form of their errors. Must not know the
//! clients' wires: it has no clients of its own, and a message reaches each client in the dialect of its wire.
//! Invariant: nothing is done for a request whose signature has not been verified.

mod connections;
mod error;
pub(crate) mod key_pair;
pub(crate) mod routes;
mod sigv4;
