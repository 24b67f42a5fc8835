//! The registry in memory.

use tieline::registry::conformance::MemoryBench;

use crate::kit::run;

tieline::conformance_tests!(run, MemoryBench::new());
