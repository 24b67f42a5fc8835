//! What the server counts itself: clients by hub, refusals, requests of backends, webhooks, requests to the
//! registry, reloads, when certificates expire.
//!
//! Owns the counters that no node of the library has, and their names and labels. There is one set for each
//! process, as there is one page of metrics; whoever counts finds it in [`METRICS`]. Must not know who counts, nor
//! how the page is served. Invariant: no label has a value that a client can think up, except for a bounded number
//! of names of hubs without a table.

mod certificates;
mod hub_names;
mod pusher;
mod registry;
mod server;
mod webhooks;

pub(crate) use self::{
    pusher::EventOutcome,
    registry::OperationMetrics,
    server::METRICS,
    webhooks::{EndpointMetrics, Outcome},
};
