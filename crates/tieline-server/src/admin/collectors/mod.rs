//! What is read when the page of metrics is asked for: numbers that the library, the runtime and the system keep
//! anyway.
//!
//! Each collector owns the names and labels of what it reads. Must not count.

pub(super) mod cluster;
pub(super) mod handshakes;
pub(super) mod hub;
pub(super) mod limits;
mod page;
pub(super) mod presence;
pub(super) mod process;
pub(super) mod runtime;
