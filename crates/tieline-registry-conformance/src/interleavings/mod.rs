//! The orders of events at which registries, or earlier forms of this protocol, went wrong.
//!
//! Each scenario is named after the event that causes the trouble, and plays the shortest order of
//! steps that shows it. All end in the same way: the nodes converge, the invariants are checked,
//! and the scenario asserts which connections exist. Must not know any store.
//!
//! How to read a step: `connect` is a connection that arrives and is accepted, `send` a request
//! that leaves its node, `execute_next` its execution in the registry, `deliver_reply` the reply
//! that reaches the node; `round_trip` is the last three at once.

pub(super) mod claims;
pub(super) mod foreign_writes;
pub(super) mod leases;
pub(super) mod model;
pub(super) mod random;
pub(super) mod sessions;
pub(super) mod stores;
