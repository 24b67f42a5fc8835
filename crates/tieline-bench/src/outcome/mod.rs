//! The results of a measurement.
//!
//! Only data and the figures derived from it. Must not know how a load is run or how results are
//! shown.

mod faults;
mod latency;
mod measurement;

pub use faults::Faults;
pub use latency::{Latency, LatencyError};
pub use measurement::{FlowOutcome, Opening, Outcome, ProcessUse};
