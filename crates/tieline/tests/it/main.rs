//! Integration tests: over real sockets, one binary, a module per topic.

#![allow(
    clippy::unwrap_used,
    reason = "what a test takes for granted fails it, with its place"
)]

#[cfg(feature = "cluster")]
mod cluster;
mod dialects;
mod drain;
mod faults;
mod idle;
mod kit;
mod lifecycle;
mod limits;
mod model;
mod namespaces;
#[cfg(feature = "cluster")]
mod presence;
#[cfg(all(feature = "axum", feature = "redis", feature = "etcd"))]
mod processes;
mod set_user;
mod slow;
#[cfg(feature = "testing")]
mod testing;
mod upgrade;
