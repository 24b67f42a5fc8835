//! The harness of the memory registry, and an example of a complete one.
//!
//! Its time is simulated and its leases are as long as those of real nodes, so that no scenario
//! waits or depends on how busy the machine is.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tieline_registry::{MemoryRegistry, Registry};

use crate::harness::{BoxFuture, RegistryHarness, Skipped};

/// A harness for [`MemoryRegistry`] that implements every method, so no scenario is skipped.
#[derive(Debug, Default)]
pub struct MemoryHarness {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    latest: MemoryRegistry,
    saved: MemoryRegistry,
}

impl MemoryHarness {
    /// A harness without a registry.
    pub fn new() -> Self {
        Self::default()
    }
}

impl RegistryHarness for MemoryHarness {
    fn registry(&self) -> BoxFuture<'_, Arc<dyn Registry>> {
        Box::pin(async {
            let mut state = self.state.lock();
            state.latest = MemoryRegistry::new();
            Arc::new(state.latest.clone()) as Arc<dyn Registry>
        })
    }

    fn lease(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.state.lock().latest.skip(time) })
    }

    fn wipe(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            self.state.lock().latest.restore(&MemoryRegistry::new());
            Ok(())
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            let mut state = self.state.lock();
            state.saved = state.latest.snapshot();
            Ok(())
        })
    }

    fn restore(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            let state = self.state.lock();
            state.latest.restore(&state.saved);
            Ok(())
        })
    }
}
