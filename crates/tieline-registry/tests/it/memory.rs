//! The registry in memory.

use tieline_registry::{Cursor, MemoryRegistry, Registry, RegistryErrorKind};
use tieline_registry_conformance::MemoryHarness;

use crate::kit::run;

tieline_registry_conformance::conformance_tests!(run, MemoryHarness::new());

#[test]
fn invalid_ids_and_cursors_are_invalid_input() {
    run(async {
        let registry = MemoryRegistry::new();
        let empty = registry.set("", "a.test:7000").await.unwrap_err();
        assert_eq!(empty.kind(), RegistryErrorKind::InvalidInput);
        let cursor = Cursor(vec![0xff]);
        let walk = registry.scan(cursor).await.unwrap_err();
        assert_eq!(walk.kind(), RegistryErrorKind::InvalidInput);
    });
}
