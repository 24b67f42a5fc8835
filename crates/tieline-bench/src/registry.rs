//! What a measurement of a registry is asked, and what it finds.
//!
//! The claims themselves are made by whoever has registries: this crate knows none.

use std::time::Duration;

use crate::outcome::Latency;
pub use crate::progress_bar::Bar;

/// Whoever measures a registry.
pub type Registry<'a> = dyn Fn(&RegistryPlan, &Bar) -> anyhow::Result<RegistryOutcome> + 'a;

/// A measurement of a registry. It has no `Debug`: the URL may hold a password.
#[derive(Clone)]
pub struct RegistryPlan {
    /// Where the registry is.
    pub url: String,
    /// Under which name entries stand; they are removed at the end.
    pub prefix: String,
    /// Nodes that claim at once.
    pub nodes: u16,
    /// Ids that are claimed in all.
    pub claims: usize,
    /// When it ends, though not all are claimed.
    pub duration: Duration,
}

/// What a measurement of a registry found.
#[derive(Debug, Clone)]
pub struct RegistryOutcome {
    /// Which registry it was, without its password.
    pub registry: String,
    /// Claims in a batch.
    pub batch: usize,
    /// Batches of a node that are under way at once.
    pub in_flight: usize,
    /// Ids that nobody had.
    pub fresh: Claims,
    /// The same ids, claimed by other nodes, as when clients move.
    pub moves: Claims,
}

/// What became of claims.
#[derive(Debug, Clone)]
pub struct Claims {
    /// How many were granted.
    pub granted: u64,
    /// How many were not, or not as they should.
    pub failed: u64,
    /// How long all took together.
    pub elapsed: Duration,
    /// How long each batch took.
    pub latency: Latency,
}

impl Claims {
    /// Claims that were granted within a second.
    pub fn per_second(&self) -> f64 {
        let elapsed = self.elapsed.as_secs_f64();
        if elapsed > 0.0 {
            crate::format::float(self.granted) / elapsed
        } else {
            0.0
        }
    }
}
