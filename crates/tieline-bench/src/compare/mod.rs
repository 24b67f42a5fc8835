//! Compares a server with a baseline by measuring both in turn.
//!
//! Both run on the same machine within the same minutes, and start anew for each run, so that the ratio
//! does not depend on the machine's load. Must not know flags or reports.

mod comparison;
mod ratios;

pub(crate) use comparison::{Comparison, ComparisonSpec, Pair, run};
pub(crate) use ratios::{Ratios, Spread};
