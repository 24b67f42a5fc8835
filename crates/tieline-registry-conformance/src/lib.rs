//! The tests that every registry of a Tieline cluster must pass.
//!
//! Use this crate as a dev-dependency if you write a registry: implement [`RegistryHarness`], and
//! [`conformance_tests!`] makes one test of each scenario. The registries of `tieline-registry`
//! pass the same suite. It knows no store; what a scenario needs from one, it asks the harness for.
//!
//! # Test your registry
//!
//! A complete test file. It also implements `wipe`, so that the scenarios about lost data run:
//!
//! ```
//! use std::{cell::RefCell, sync::Arc};
//!
//! use tieline_registry::{MemoryRegistry, Registry};
//! use tieline_registry_conformance::{
//!     BoxFuture, RegistryHarness, Skipped, conformance_tests,
//! };
//!
//! // `MemoryRegistry` stands for your registry here.
//! #[derive(Default)]
//! struct MyHarness {
//!     current: RefCell<MemoryRegistry>,
//! }
//!
//! impl RegistryHarness for MyHarness {
//!     // A registry over an empty store: a new prefix or table in the same store will do.
//!     fn registry(&self) -> BoxFuture<'_, Arc<dyn Registry>> {
//!         Box::pin(async {
//!             let registry = MemoryRegistry::new();
//!             self.current.replace(registry.clone());
//!             Arc::new(registry) as Arc<dyn Registry>
//!         })
//!     }
//!
//!     fn wipe(&self) -> BoxFuture<'_, Result<(), Skipped>> {
//!         Box::pin(async {
//!             self.current.borrow().restore(&MemoryRegistry::new());
//!             Ok(())
//!         })
//!     }
//! }
//!
//! fn run(test: impl Future<Output = ()>) {
//!     let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
//!     runtime.expect("a runtime").block_on(test);
//! }
//!
//! conformance_tests!(run, MyHarness::default());
//! # run(tieline_registry_conformance::play("wipe_before_reply", &MyHarness::default()));
//! ```
//!
//! Each test has the name of its scenario, so `cargo test late_join` plays one. To play all
//! scenarios on one harness, call [`run`], which returns a [`Report`]. [`MemoryHarness`] is an
//! example that implements every method.
//!
//! # What a harness may leave out
//!
//! Only [`registry`](RegistryHarness::registry) is required. A scenario that calls a method which
//! returns [`Skipped`], as the default methods do, stops there. [`run`] lists it in the report, and
//! a test passes with a line on standard error.
//!
//! | method | without it |
//! |---|---|
//! | [`wipe`](RegistryHarness::wipe) | the scenarios in which the store loses all data are skipped |
//! | [`snapshot`](RegistryHarness::snapshot), [`restore`](RegistryHarness::restore) | the eight scenarios in which the store falls back to an earlier state are skipped |
//! | [`lease`](RegistryHarness::lease), [`expiry`](RegistryHarness::expiry) | the lease is 500 ms and has certainly expired after 750 ms |
//! | [`pass`](RegistryHarness::pass) | the suite sleeps, so the scenarios about leases take real time |
//!
//! # What the scenarios prove
//!
//! The scenarios of the contract call the registry directly. All others play an order of events on
//! simulated nodes, which run the real claim table of a node
//! ([`claim_table`](tieline_registry::claim_table)). Requests are sent, executed and answered step
//! by step, so that any other event can happen between two steps, the same way in every run. In the
//! end the nodes run until nothing changes, and the invariants are checked.
//!
//! | group | proves |
//! |---|---|
//! | `contract::sessions` | an address belongs to one process whose lease is alive; late renewals are reported |
//! | `contract::claims` | the later stamp wins, and nothing is removed that has not been compared |
//! | `contract::bulk` | large batches, scans and the reaper are complete and exact |
//! | `contract::namespaces` | the same name in another namespace is another id, which other programs cannot see |
//! | `contract::values` | a value is the same for all callers until its time is over, and belongs to no node; a registry without [values](tieline_registry::Registry::values) skips these |
//! | `contract::random` | 3,000 random operations agree with a reference model |
//! | `interleavings::claims` | the newest connection wins, in whatever order requests execute or get lost |
//! | `interleavings::sessions` | crashes, restarts and duplicate addresses harm no other process |
//! | `interleavings::leases` | a node that returns gets its clients back; a dead one is removed |
//! | `interleavings::stores` | the nodes repair a store that lost data |
//! | `interleavings::foreign_writes` | legacy nodes can share the registry |
//! | `interleavings::model` | the orders of events that break the protocol without one of its rules |
//! | `interleavings::random` | random orders of all these steps converge |
//! | `presence::terms` | rosters are right when puts are late, nodes crash or drain, and the registry stands still |
//! | `presence::losses` | the nodes repair rosters that were lost, and tell nobody to have gone who is there |
//! | `presence::followers` | a follower is told each transition once, and the dispatcher leaves none out |
//! | `presence::random` | random orders of puts converge |
//! | `presence::contract` | the contract of each method of `Rosters` |
//!
//! The documentation of each scenario, above its function in the source, states its order of
//! events.
//!
//! # When a scenario fails
//!
//! It panics. The message says what happened, at which node, what to look at, and which invariant
//! is broken:
//!
//! | | |
//! |---|---|
//! | I1 | a client id with connections has exactly one, the newest, and the registry maps the id to its node |
//! | I2 | no entry exists without a connection |
//! | I3 | no release and no reaper removes the entry of an existing connection |
//! | I4 | the protocol never closes the newest connection of an id |
//! | I5 | the nodes converge: at some point nothing changes any more |
//! | I6 | an emit never answers `Offline` for a client that was connected and registered all the time |
//! | I7 | a pause, a restart, or two processes with one address harm no other process |
//! | I8 | an emit answers `Delivered` only for a connection that has its id |
//!
//! The scenarios of `presence` have invariants of their own. A registry without
//! [rosters](tieline_registry::Registry::rosters) skips them.
//!
//! | | |
//! |---|---|
//! | I1 | at rest, a roster is exactly the users who are in the group, and every follower shows it |
//! | I2 | every change of a roster is in the journal once |
//! | I3 | what a follower is told at a position is the roster there, and each announcement changes it |
//! | I4 | nobody is told to have gone who is there, acknowledged, at a node that was never away |
//! | I5 | the nodes come to rest |

mod contract;
mod expect;
mod harness;
mod interleavings;
mod memory;
mod presence;
mod readme;
mod report;
mod simulation;
// Public for the expansion of `conformance_tests!` only.
#[doc(hidden)]
pub mod suite;
#[cfg(test)]
mod tests;

pub use self::{
    harness::{BoxFuture, RegistryHarness, Skipped},
    memory::MemoryHarness,
    report::{Outcome, Report},
    suite::{SCENARIOS, Scenario, play, run},
};
