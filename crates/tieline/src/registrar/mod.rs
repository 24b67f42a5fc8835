//! Keeps what the registry has for this node equal to what this node holds.
//!
//! Owns the node's side of the registry protocol. The pure state machine
//! [`ClaimTable`](tieline_registry::claim_table::ClaimTable) decides; this module acts:
//!
//! | file | does |
//! |---|---|
//! | `start` | starts the tasks of the registrar, and ends them |
//! | `connections` | claims and releases the ids of this node's connections |
//! | `lease` | joins, renews the lease, detects outages and lost sessions |
//! | `claim_sender` | sends urgent claims and releases, and applies the replies |
//! | `reconcile` | compares both sides, slowly: audit and sweep |
//! | `reaper` | removes the entries of expired nodes |
//! | `inner` | what all of them share |
//! | `claim_counts` | counts what became of the claims |
//! | `reconciler`, `clock` | signals and pauses of the comparison; the stamps |
//!
//! Must not know how a registry stores its entries, nor links: what it needs of the cluster is
//! [`RegistrarHost`]. Invariant: whatever message is lost, the registry's entries for this node become
//! the connections of this node.

mod claim_counts;
mod claim_sender;
mod clock;
mod connections;
mod inner;
mod lease;
mod reaper;
mod reconcile;
mod reconciler;
mod start;
#[cfg(all(test, feature = "redis"))]
mod tests;

pub(crate) use self::{
    clock::{ClusterClock, LocalInstant},
    inner::{ClaimDecision, Health, Registrar, RegistrarConfig, RegistrarHost},
};
