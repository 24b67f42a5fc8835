//! The registry in memory.

use tieline_registry_conformance::MemoryHarness;

use crate::kit::run;

tieline_registry_conformance::conformance_tests!(run, MemoryHarness::new());
