//! What the clients of a hub, of a user and of an address may do together, and their backends, on this node.
//!
//! Owns how much each of them has left, and what happens beyond. Must not know how a wire refuses a client, nor
//! where an address comes from. Invariants: what nobody limits is not counted and takes no memory; what is kept of
//! an address, a user or a hub is bounded, and goes when it says no more than nothing would; every refusal, delay
//! and close is counted.

mod arrival;
pub(crate) mod bucket;
pub(crate) mod counts;
mod quota;
mod quotas;
mod requests;
mod rules;
pub(crate) mod slow_downs;
mod table;

pub(crate) use self::{
    arrival::{Arrival, LimitExceeded},
    quota::Quota,
    quotas::Quotas,
    requests::{Attempt, TooManyRequests, whole_seconds},
    rules::HubLimits,
};
