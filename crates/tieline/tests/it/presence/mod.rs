//! Who is in which group: nodes in one process, on the registry in memory, or on a Redis that is far.
//!
//! What follows a group is checked change by change (`history`). Faults are in `processes/presence`.

pub(crate) mod history;

mod crowds;
mod dispatching;
mod far;
mod members;
mod users;
