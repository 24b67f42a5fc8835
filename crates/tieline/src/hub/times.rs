//! How long things took, counted in buckets while they happen.
//!
//! Owns the counts. Must not know what took the time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::stats::Times;

#[derive(Debug, Default)]
pub(super) struct TimeCounts {
    counts: [AtomicU64; Times::BOUNDS.len() + 1],
    /// In nanoseconds; it wraps after centuries.
    sum: AtomicU64,
}

impl TimeCounts {
    /// So many of something have taken so long.
    pub(super) fn record(&self, took: Duration, count: u64) {
        let bucket = Times::BOUNDS.partition_point(|bound| *bound < took);
        self.counts[bucket].fetch_add(count, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let sum = nanos.saturating_mul(count);
        self.sum.fetch_add(sum, Ordering::Relaxed);
    }

    /// Adds a snapshot to another.
    pub(super) fn add_to(&self, times: &mut Times) {
        for (sum, count) in times.counts.iter_mut().zip(&self.counts) {
            *sum += count.load(Ordering::Relaxed);
        }
        let sum = Duration::from_nanos(self.sum.load(Ordering::Relaxed));
        times.sum = times.sum.saturating_add(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_the_first_bucket_that_it_does_not_exceed() {
        let counts = TimeCounts::default();
        let mut times = Times::default();
        counts.record(Times::BOUNDS[1], 2);
        counts.record(Times::BOUNDS[1] + Duration::from_nanos(1), 1);
        counts.record(Duration::from_mins(1), 1);
        counts.add_to(&mut times);
        let expected = |place| match place {
            1 => 2,
            2 | 13 => 1,
            _ => 0,
        };
        let counted = times.counts.iter().enumerate();
        counted.for_each(|(place, count)| assert_eq!(*count, expected(place), "{place}"));
        assert_eq!(times.total(), 4);
        assert!(times.sum > Duration::from_mins(1));
    }
}
