//! Simulated nodes on a registry, moved step by step.
//!
//! Owns what a scenario can do: connections arrive and end, requests are sent, executed and
//! answered, processes crash and pause, evicts get lost, in any order. Must not know any store.
//!
//! Each node runs the real [`ClaimTable`](tieline_registry::claim_table::ClaimTable), so the suite
//! tests a registry against what real nodes do. A step concerns the oldest request of a node.
//!
//! Invariants: all nodes share one strictly increasing clock, which the registry's replies advance;
//! nothing happens between two steps of a scenario, so a scenario always plays the same way.

mod connections;
mod convergence;
mod emit;
mod faults;
mod invariants;
mod leases;
mod lifecycle;
mod node;
mod operations;
mod state;

pub(crate) use self::{
    emit::{Emit, EmitOutcome},
    state::{DUPLICATE_OF_A, ID, NODE_A, NODE_B, Simulation},
};
