//! The bench of the registry in memory, and an example of one.
//!
//! Its time passes at once and its leases are as long as those of real nodes, so that its scenarios
//! neither wait nor depend on how busy the machine is.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tieline_registry::{MemoryRegistry, Registry};

use crate::harness::{BoxFuture, RegistryHarness, Skipped};

/// A bench for [`MemoryRegistry`]. It can do all that a bench can.
#[derive(Debug, Default)]
pub struct MemoryHarness {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    latest: MemoryRegistry,
    remembered: MemoryRegistry,
}

impl MemoryHarness {
    /// A bench.
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
            state.remembered = state.latest.snapshot();
            Ok(())
        })
    }

    fn restore(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            let state = self.state.lock();
            state.latest.restore(&state.remembered);
            Ok(())
        })
    }
}
