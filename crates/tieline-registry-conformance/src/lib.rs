//! The tests that every registry must pass, for a registry of your own too.
//!
//! Owns what a registry promises to nodes: the plain contract of each operation (`contract`), and the
//! orders of events by which registries go wrong (`orders`), each played step by step on simulated
//! nodes (`world`) that run the node's side of the protocol. Must not know any store; what a scenario
//! needs of one, it asks of a [`RegistryHarness`].
//!
//! A registry's author implements [`RegistryHarness`] and writes one line into a test file:
//!
//! ```no_run
//! use std::sync::Arc;
//! use tieline_registry::{MemoryRegistry, Registry};
//! use tieline_registry_conformance::{Bench, Doing};
//!
//! struct MyBench;
//!
//! impl Bench for MyBench {
//!     fn registry(&self) -> Doing<'_, Arc<dyn Registry>> {
//!         Box::pin(async { Arc::new(MemoryRegistry::new()) as _ })
//!     }
//! }
//!
//! fn run(test: impl Future<Output = ()>) {
//!     // `Runtime::block_on`, for instance.
//! }
//!
//! tieline_registry_conformance::conformance_tests!(run, MyBench);
//! ```
//!
//! That makes one test of each scenario, by its name, each with a bench of its own. [`run`] plays all of
//! them on one bench and returns a [`Report`]. A scenario that needs what the bench cannot do is
//! skipped: the report says so, and a test says so on standard error.
//!
//! Scenarios panic where the registry is wrong; the message names the invariant:
//!
//! | | |
//! |---|---|
//! | I1 | an id with a live connection has exactly one, the newest, and the registry maps the id to its node |
//! | I2 | no entry without a live connection |
//! | I3 | no release or reap removes the entry of a live, newer claim |
//! | I4 | the newest connection is never closed by the protocol |
//! | I5 | the protocol comes to rest |
//! | I6 | an emit never answers Offline for a client that was connected and registered during all of it |
//! | I8 | a pause, a restart and two processes with one address harm nobody else |

mod contract;
mod expect;
mod harness;
mod interleavings;
mod memory;
mod report;
mod simulation;
#[doc(hidden)] // Public for `conformance_tests!` only.
pub mod suite;
#[cfg(test)]
mod tests;

pub use self::{
    harness::{BoxFuture, RegistryHarness, Skipped},
    memory::MemoryHarness,
    report::{Outcome, Report},
    suite::{SCENARIOS, Scenario, play, run},
};
