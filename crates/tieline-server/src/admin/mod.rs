//! The admin port: what operators see of the process.
//!
//! Owns its routes, who may use them, the page of metrics, the API and the dashboard. Must not know how it listens, nor
//! when a node is ready: `supervisor` hands that in. Invariant: only the health routes, and the files of the dashboard,
//! answer a request that is not allowed.

mod api;
mod collectors;
mod dashboard;
mod exposition;
mod guard;
mod routes;
pub(crate) mod token;

pub(crate) use self::{
    api::{AdminAccess, Api},
    exposition::Exposition,
    guard::Guard,
    routes::routes,
};
