//! What a server is compared with: the bare server, or another one.
//!
//! Must not know how a comparison runs.

pub(crate) mod protocol;
mod spec;

pub(crate) use spec::Baseline;
