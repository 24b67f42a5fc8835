//! The registry in memory.

use tieline_registry_conformance::MemoryBench;

use crate::kit::run;

tieline_registry_conformance::conformance_tests!(run, MemoryBench::new());
