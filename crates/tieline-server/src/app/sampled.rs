//! Log lines that repeat, sampled.
//!
//! Owns how often a line is written. Must not know what it says.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// The shortest time between two lines of a kind.
const INTERVAL: Duration = Duration::from_secs(10);

/// Decides which lines of a kind are written.
#[derive(Debug, Default)]
pub(crate) struct Sampled(Mutex<Sample>);

/// Decides it for each of several kinds, of which there must be few: each is remembered.
#[derive(Debug)]
pub(crate) struct SampledBy<K>(Mutex<BTreeMap<K, Sample>>);

/// When a line was last written, and how many were left out since.
#[derive(Debug, Default)]
struct Sample {
    last: Option<Instant>,
    left_out: u64,
}

impl Sampled {
    /// How many lines were left out since the last one, if the next is to be written.
    pub(crate) fn due(&self) -> Option<u64> {
        self.0.lock().due()
    }
}

impl<K: Ord> SampledBy<K> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// How many lines of this kind were left out since its last one, if the next is to be written.
    pub(crate) fn due(&self, kind: K) -> Option<u64> {
        self.0.lock().entry(kind).or_default().due()
    }
}

impl Sample {
    fn due(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_written_once_per_interval_and_says_what_it_stands_for() {
        let sampled = Sampled::default();
        assert_eq!(sampled.due(), Some(0));
        assert_eq!((sampled.due(), sampled.due()), (None, None));
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(sampled.due(), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_of_one_kind_does_not_hide_another() {
        let sampled = SampledBy::new();
        assert_eq!((sampled.due(401), sampled.due(401)), (Some(0), None));
        assert_eq!(sampled.due(503), Some(0));
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(sampled.due(401), Some(1));
    }
}
