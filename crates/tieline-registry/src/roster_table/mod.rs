//! A node's side of the presence protocol, as a pure state machine: what it enters in rosters.
//!
//! The nodes of the crate `tieline` and the simulated nodes of `tieline-registry-conformance` drive the same
//! [`RosterTable`], so the suite tests a registry against what real nodes do. To write a registry, you do not need
//! this module.
//!
//! A *slot* is a user in a roster, with the number of the user's connections at this node that are in the group, and
//! what is known of the entry. Invariants: one put is in flight at a time, and numbers only grow; a reply carries
//! nothing but the joiner's own verdict, so a lost one costs a second put and no more; after a lost term, or one
//! whose writes were lost, everything is entered again under a new name.
//!
//! ```
//! use std::time::Duration;
//! use tieline_registry::{
//!     ItemOutcome, PutReply, RosterKind, RosterName, Term,
//!     roster_table::{RosterTable, Settled, Verdict},
//! };
//!
//! let mut table = RosterTable::new(None);
//! let (lease, grace) = (Duration::from_secs(10), Duration::ZERO);
//! let term = Term::new(lease, grace);
//! table.on_opened(term.clone(), 0);
//!
//! let lobby = RosterName::new(RosterKind::Members, "lobby");
//! table.enter(&lobby, "ada", "{}");
//! let now = Duration::ZERO;
//! let put = table.next_put(now, usize::MAX).expect("there is somebody to enter");
//! // Here the driver calls `Rosters::put`.
//! let reply = PutReply::Done { stands: put.number, outcomes: vec![ItemOutcome::Done] };
//! let settled = table.on_reply(Some(reply), now);
//! assert_eq!(settled, [Settled::new(lobby, "ada", Verdict::Entered)]);
//! ```

mod slot;
mod slots;
mod table;

pub use self::{
    slot::{Settled, Verdict},
    table::RosterTable,
};

#[cfg(test)]
mod tests;
