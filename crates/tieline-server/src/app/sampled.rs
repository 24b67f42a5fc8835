//! Log lines that repeat, sampled.
//!
//! Owns how often a line is written. Must not know what it says.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The shortest time between two lines of a kind.
const INTERVAL: Duration = Duration::from_secs(10);

/// Decides which lines of a kind are written.
#[derive(Debug, Default)]
pub(crate) struct Sampled(Mutex<(Option<Instant>, u64)>);

impl Sampled {
    /// How many lines were left out since the last one, if the next is to be written.
    pub(crate) fn due(&self) -> Option<u64> {
        let mut state = self.0.lock();
        let (last, left_out) = &mut *state;
        if last.is_some_and(|last| last.elapsed() < INTERVAL) {
            *left_out += 1;
            return None;
        }
        *last = Some(Instant::now());
        Some(std::mem::take(left_out))
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
}
