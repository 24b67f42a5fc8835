//! Who is in which group: nodes in one process, on the registry in memory.
//!
//! What follows a group is checked change by change (`history`). Faults are in `processes/presence`.

pub(crate) mod history;

mod crowds;
mod dispatching;
mod members;
mod users;
