//! The progress of a measurement.

use std::time::Duration;

/// Receives the progress of a measurement.
pub trait Progress {
    /// `connections` of `of` are open.
    fn opened(&self, connections: usize, of: usize);

    /// The load has run for `elapsed` of `of`, which is zero during warm-up; `arrived` messages have
    /// arrived.
    fn running(&self, elapsed: Duration, of: Duration, arrived: u64);
}
