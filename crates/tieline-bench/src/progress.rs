//! The progress of a measurement.

use std::time::Duration;

/// Who is told now and then how a measurement goes.
pub trait Progress {
    /// So many connections are open, of so many.
    fn opened(&self, connections: usize, of: usize);

    /// It runs since `elapsed`, which is nothing while it warms up; so many messages have arrived.
    fn running(&self, elapsed: Duration, of: Duration, arrived: u64);
}
