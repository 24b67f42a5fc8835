//! The plan and the result of a measurement of a registry.
//!
//! This crate knows no registry: the caller makes the claims.

use std::time::Duration;

use crate::outcome::Latency;
pub use crate::progress_bar::ProgressBar;

/// Measures a registry.
pub type MeasureRegistry<'a> =
    dyn Fn(&RegistryPlan, &ProgressBar) -> anyhow::Result<RegistryOutcome> + 'a;

/// The plan of a measurement. Without `Debug`, because the URL may contain a password.
#[derive(Clone)]
pub struct RegistryPlan {
    /// The URL of the registry.
    pub url: String,
    /// The prefix of the entries, which are removed at the end.
    pub prefix: String,
    /// Number of nodes that claim at once.
    pub nodes: u16,
    /// Number of ids to claim.
    pub claims: usize,
    /// The time limit of each phase.
    pub duration: Duration,
}

/// The result of a measurement.
#[derive(Debug, Clone)]
pub struct RegistryOutcome {
    /// The URL of the registry, without its password.
    pub registry: String,
    /// Claims in a batch.
    pub batch: usize,
    /// Batches of a node in flight at once.
    pub in_flight: usize,
    /// Claims of unclaimed ids.
    pub fresh: ClaimResult,
    /// Claims of the same ids by other nodes, as when clients move.
    pub moves: ClaimResult,
}

/// The result of claims.
#[derive(Debug, Clone)]
pub struct ClaimResult {
    /// Claims that were granted as expected.
    pub granted: u64,
    /// Claims that were not granted, or not as expected.
    pub failed: u64,
    /// The time for all claims.
    pub elapsed: Duration,
    /// The latency of each batch.
    pub latency: Latency,
}

impl ClaimResult {
    /// Granted claims per second.
    pub fn per_second(&self) -> f64 {
        let elapsed = self.elapsed.as_secs_f64();
        if elapsed > 0.0 {
            crate::format::float(self.granted) / elapsed
        } else {
            0.0
        }
    }
}
