//! A node's side of the presence protocol, as a pure state machine: what it follows.
//!
//! The nodes of the crate `tieline` and the simulated nodes of `tieline-registry-conformance` drive the same
//! [`RosterView`], so the suite tests a registry against what real nodes do. To write a registry, you do not need
//! this module.
//!
//! A view reads the journal at one position, and follows any number of rosters. The driver runs a loop: it reads what
//! [`next_fetch`](RosterView::next_fetch) asks for, then the journal from [`position`](RosterView::position), one
//! after the other, so that each answer is newer than the one before.
//!
//! Invariants: what is told of a roster at a position is the roster at that position, except while the view
//! [settles](RosterView::is_settling), when users who may only be missing stay; each [`Transition`] changes
//! what was told; a roster that was read is not told before the journal has been read up to the end that came
//! with each of its pages.

mod followed;
mod view;

pub use self::{
    followed::{Transition, Update},
    view::{Fetch, RosterView},
};

#[cfg(test)]
mod tests;
