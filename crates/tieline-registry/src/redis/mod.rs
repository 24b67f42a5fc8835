//! The registry on Redis: one server, Sentinel, or Redis Cluster.
//!
//! Owns the shared layout on Redis and the way to the server. What the operations mean is defined by
//! [`Registry`](crate::contract::Registry). Each is one script, or a few, which the server runs
//! atomically: nothing is decided here that another node could invalidate. Must not know nodes,
//! connections to clients, or what is done with a reply.
//!
//! From the top: `options` (what users configure), `operations`, `scan`, `rosters` and `values` (the contract), `registry`,
//! `client` (reconnects), `connector` (finds the server), `connection` (to one server), `clock` (deadlines) and
//! `recovery` (what is sent again), then `scripts`, `reply`, `keys`, `tls`, `url` and `server_error`.

mod client;
mod clock;
mod connection;
mod connector;
mod keys;
mod operations;
mod options;
mod overlap;
mod recovery;
mod registry;
mod reply;
mod rosters;
mod scan;
mod scripts;
mod server_error;
mod tls;
mod url;
mod values;

pub use self::{options::RedisOptions, registry::RedisRegistry};
