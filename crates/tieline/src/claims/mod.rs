//! What this node has in the registry, kept in step with what it holds.
//!
//! Owns the node's side of the registry protocol: `slots` decides, the driver sends. Must not know
//! how a registry keeps its entries, nor what a connection is beyond its id and its arrival.

mod slots;

pub use self::slots::{Answered, Effect, Pace, Request, Slots, Work};
