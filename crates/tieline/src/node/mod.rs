//! One process that holds connections: the hub and the handler, composed.
//!
//! Owns the tasks of its connections and their orderly end. Must not know how requests are accepted or
//! served; `serve` and `upgrade` use the node. Invariant: every task it starts is tracked, and a drain waits
//! for each.

mod api;
mod drain;
mod farewells;
mod requests;

pub use self::{api::Node, drain::Drained};
