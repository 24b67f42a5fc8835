//! The tests that every registry must pass, over a file in a temporary folder.

use std::{
    cell::Cell,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tieline::registry::Registry;
use tieline_registry_conformance::{BoxFuture, RegistryHarness, Skipped, conformance_tests};

use super::registry::FileRegistry;

struct FileHarness {
    folder: TempDir,
    registries: Cell<u32>,
}

impl FileHarness {
    fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder"),
            registries: Cell::new(0),
        }
    }

    /// The file of the latest registry.
    fn file(&self) -> PathBuf {
        let name = format!("{}.json", self.registries.get());
        self.folder.path().join(name)
    }

    fn snapshot(&self) -> PathBuf {
        self.file().with_extension("snapshot")
    }
}

impl RegistryHarness for FileHarness {
    fn registry(&self) -> BoxFuture<'_, Arc<dyn Registry>> {
        self.registries.update(|number| number + 1);
        Box::pin(async { Arc::new(FileRegistry::new(self.file())) as _ })
    }

    /// Disks are slower than memory.
    fn lease(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn wipe(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async { done(fs::remove_file(self.file())) })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async { done(copy(&self.file(), &self.snapshot())) })
    }

    fn restore(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async { done(copy(&self.snapshot(), &self.file())) })
    }
}

/// By way of a third file, so that a registry never reads half of it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let part = to.with_added_extension("part");
    fs::copy(from, &part)?;
    fs::rename(part, to)
}

#[expect(clippy::unnecessary_wraps, reason = "what the harness returns")]
fn done(result: io::Result<()>) -> Result<(), Skipped> {
    result.expect("the temporary folder can be written");
    Ok(())
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(test);
}

conformance_tests!(run, FileHarness::new());
