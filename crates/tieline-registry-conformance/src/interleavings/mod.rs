//! The orders of events in which registries, or earlier forms of this protocol, went wrong.
//!
//! Each scenario is named for what goes wrong and plays the shortest order of steps that shows it. In
//! its remarks, `c1A` is connection 1 arriving at node A; `s`, `x`, `r`: its operation is sent,
//! executed, answered; `d`: disconnect. The end is the same for all: the world comes to rest, and is
//! judged.

pub(super) mod claims;
pub(super) mod foreign_writes;
pub(super) mod leases;
pub(super) mod random;
pub(super) mod sessions;
pub(super) mod stores;
