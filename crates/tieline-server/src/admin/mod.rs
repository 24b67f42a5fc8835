//! The admin port: what operators see of the process.
//!
//! Owns its routes, who may use them, and the page of metrics. Must not know how it listens, nor when a node is
//! ready: `supervisor` hands that in. Invariant: only the health routes answer a request that is not allowed.

mod collectors;
mod exposition;
mod guard;
mod routes;
pub(crate) mod token;

pub(crate) use self::{exposition::Exposition, guard::Guard, routes::routes};
