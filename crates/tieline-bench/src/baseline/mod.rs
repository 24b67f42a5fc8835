//! What a server is compared with: the baseline server, or any other.
//!
//! Must not know how a comparison runs.

mod spec;

pub(crate) use spec::{Baseline, BaselineFormat};
