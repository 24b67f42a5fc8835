//! One process that holds connections: the hub and the application, composed.
//!
//! Owns the tasks of its connections and their orderly end. Invariant: every task it starts is
//! tracked, and a drain waits for each.

mod api;
mod drain;

pub use self::{api::Node, drain::Drained};
