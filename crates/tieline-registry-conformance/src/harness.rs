//! What the author of a registry implements.
//!
//! Owns the interface between scenarios and stores. Must not know any of either.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tieline_registry::Registry;

/// The future of a harness method. It need not be `Send`: a scenario runs on the thread that polls
/// it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A registry under test, and what can be done to its store.
///
/// Only [`registry`](RegistryHarness::registry) is required. Scenarios that need more are skipped,
/// as the [crate documentation](crate#what-a-harness-may-leave-out) explains.
pub trait RegistryHarness {
    /// Returns a registry over an empty store. Registries returned earlier are no longer used, so a
    /// new prefix in the same store is enough. [`wipe`](RegistryHarness::wipe),
    /// [`snapshot`](RegistryHarness::snapshot) and [`restore`](RegistryHarness::restore) apply to
    /// the latest.
    fn registry(&self) -> BoxFuture<'_, Arc<dyn Registry>>;

    /// A short lease, for scenarios that wait until it has expired. It must be long enough for
    /// about ten operations on a busy machine. Default: 500 ms. Other scenarios use a lease of two
    /// minutes.
    fn lease(&self) -> Duration {
        Duration::from_millis(500)
    }

    /// The time without a renewal after which a lease of [`lease`](RegistryHarness::lease) has
    /// certainly expired. Default: one and a half times the lease.
    fn expiry(&self) -> Duration {
        self.lease() * 3 / 2
    }

    /// Lets time pass for the store. Default: sleeps. A store with a simulated clock can advance it
    /// instead.
    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    /// Deletes all data of the latest registry, leases included, while nodes are using it.
    fn wipe(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async { Err(Skipped::new("the harness cannot wipe its store")) })
    }

    /// Saves all data of the latest registry, leases included.
    fn snapshot(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async { Err(Skipped::new("the harness cannot restore its store")) })
    }

    /// Restores the data of the last [`snapshot`](RegistryHarness::snapshot), as a failover to a
    /// replica does that lagged behind.
    fn restore(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async { Err(Skipped::new("the harness cannot restore its store")) })
    }
}

/// Why a scenario was skipped: the harness cannot do what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped(String);

impl Skipped {
    /// A reason, for the report.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a scenario ends, unless it panics.
pub(crate) type ScenarioResult = Result<(), Skipped>;
