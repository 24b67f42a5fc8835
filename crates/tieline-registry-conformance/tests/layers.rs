//! The modules import each other in the order of `ARCHITECTURE.md`.

#[test]
fn modules_import_from_lower_layers_only() {
    let folder = env!("CARGO_MANIFEST_DIR");
    tieline_layers::assert_layers(
        folder,
        "../../ARCHITECTURE.md",
        "tieline-registry-conformance",
    );
}
