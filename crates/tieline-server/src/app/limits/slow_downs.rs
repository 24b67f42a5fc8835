//! How a client was slowed down, for operators.
//!
//! Owns what is kept of it. Must not know the limits. Invariant: a client that was never slowed down has no more than
//! an empty place for it.

use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::counts::{Limited, Scope};

/// How a client was slowed down since it connected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlowDowns {
    pub(crate) times: u64,
    /// For how long in all; of the last time, all that it takes.
    pub(crate) total: Duration,
    /// When the last time began.
    pub(crate) since: Instant,
    /// When the last time ends, or has ended.
    until: Instant,
    pub(crate) by: SlowedBy,
}

/// By which limit, in the words of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlowedBy {
    scope: Scope,
    limited: Limited,
}

/// The same as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SlowedByReport {
    scope: String,
    limit: String,
}

/// Where it is kept: by the client's task, and read by whoever asks.
#[derive(Debug, Default)]
pub(super) struct SlowDownCell(Mutex<Option<Box<SlowDowns>>>);

impl SlowDowns {
    /// Whether the client is not read from now.
    pub(crate) fn is_now(&self) -> bool {
        Instant::now() < self.until
    }
}

impl SlowedBy {
    pub(crate) fn report(self) -> SlowedByReport {
        SlowedByReport {
            scope: self.scope.name().to_owned(),
            limit: self.limited.name().to_owned(),
        }
    }
}

impl SlowDownCell {
    /// From now on, the client waits for so long.
    pub(super) fn add(&self, scope: Scope, limited: Limited, now: Instant, wait: Duration) {
        let (by, until) = (SlowedBy { scope, limited }, now + wait);
        let mut kept = self.0.lock();
        let (times, total) = kept
            .as_ref()
            .map_or((0, Duration::ZERO), |kept| (kept.times, kept.total));
        let next = SlowDowns {
            times: times + 1,
            total: total.saturating_add(wait),
            since: now,
            until,
            by,
        };
        match &mut *kept {
            Some(kept) => **kept = next,
            none => *none = Some(Box::new(next)),
        }
    }

    pub(super) fn get(&self) -> Option<SlowDowns> {
        self.0.lock().as_deref().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn times_add_up_and_only_the_last_can_be_now() {
        let cell = SlowDownCell::default();
        assert!(cell.get().is_none());
        let second = Duration::from_secs(1);
        cell.add(Scope::Client, Limited::Messages, Instant::now(), second);
        assert!(cell.get().is_some_and(|slow| slow.is_now()));
        tokio::time::advance(second).await;
        assert!(!cell.get().is_some_and(|slow| slow.is_now()));
        cell.add(Scope::User, Limited::Bytes, Instant::now(), 2 * second);
        let slow = cell.get().expect("it was slowed down");
        assert_eq!((slow.times, slow.total), (2, 3 * second));
        let by = SlowedByReport {
            scope: "user".into(),
            limit: "bytes".into(),
        };
        assert!(slow.is_now() && slow.by.report() == by);
    }

    #[test]
    fn who_was_never_slowed_down_has_two_words() {
        assert!(size_of::<SlowDownCell>() <= 16);
    }
}
