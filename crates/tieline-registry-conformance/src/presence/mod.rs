//! Presence: the orders of events at which rosters go wrong, and the contract of [`Rosters`].
//!
//! The scenarios have the names that the same orders have in the model of the protocol (`models/presence`). Each ends
//! in the same way: the nodes converge, and the invariants are checked. A registry without rosters skips them all.
//! Must not know any store.
//!
//! [`Rosters`]: tieline_registry::Rosters

pub(super) mod contract;
pub(super) mod followers;
mod judge;
pub(super) mod losses;
pub(super) mod random;
mod stage;
mod steps;
pub(super) mod terms;
