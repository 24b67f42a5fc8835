//! What the suite asks of a registry's author.
//!
//! Owns the seam between scenarios and stores; must not know any of either.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tieline_registry::Registry;

/// A step of a bench. It need not be `Send`: scenarios run where they were started.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A registry on a store that can be emptied, kept waiting and set back.
///
/// Only [`RegistryHarness::registry`] must be implemented. What a store cannot do is skipped, and said so.
pub trait RegistryHarness {
    /// A registry over an empty store. Those that were given out before are not used any more, so
    /// another name or prefix in the same store will do; [`wipe`](RegistryHarness::wipe),
    /// [`snapshot`](RegistryHarness::snapshot) and [`restore`](RegistryHarness::restore) are about the latest.
    fn registry(&self) -> BoxFuture<'_, Arc<dyn Registry>>;

    /// A short lease, for scenarios that wait until it has run out: long enough for some ten
    /// operations on a busy machine. Other scenarios use a lease that outlasts them.
    fn lease(&self) -> Duration {
        Duration::from_millis(500)
    }

    /// After what time without a beat a lease of [`RegistryHarness::lease`] has run out for sure.
    fn expiry(&self) -> Duration {
        self.lease() * 3 / 2
    }

    /// Lets time pass for the store.
    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    /// Loses all data of the latest registry, leases included.
    fn wipe(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async { Err(Skipped::new("the bench cannot wipe its store")) })
    }

    /// Remembers all data of the latest registry, leases included.
    fn snapshot(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async { Err(Skipped::new("the bench cannot set its store back")) })
    }

    /// Falls back to what [`RegistryHarness::snapshot`] remembered, as a failover to a replica does that lagged.
    fn restore(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async { Err(Skipped::new("the bench cannot set its store back")) })
    }
}

/// Why a scenario was not played to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped(String);

impl Skipped {
    /// Says why.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a scenario ends with, if it does not panic.
pub(crate) type ScenarioResult = Result<(), Skipped>;
