//! Runs the nodes of the process.
//!
//! Owns what happens between valid settings and the end of the process: listening, joining the cluster,
//! routes, signals, drain. Must not know flags, except by name in texts, nor what clients send.

pub(crate) mod admin;
mod admin_thread;
pub(crate) mod certificates;
mod cluster;
mod control;
pub(crate) mod demo;
pub(crate) mod expiry;
mod lifecycle;
pub(crate) mod listen;
mod measured_registry;
pub(crate) mod node;
mod phase;
pub(crate) mod registry;
pub(crate) mod reload;
mod routes;
pub(crate) mod serve;
pub(crate) mod signals;
pub(crate) mod systemd;
mod unix_socket;
