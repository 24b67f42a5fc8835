//! The outcomes of the scenarios, and their text.
//!
//! Must not know any scenario.

use std::{
    fmt,
    future::{Future, poll_fn},
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use crate::harness::{ScenarioResult, Skipped};

/// The outcome of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The registry behaved as it must.
    Passed,
    /// The harness cannot do what the scenario needs.
    Skipped(Skipped),
    /// The registry did not behave as it must: the message of the panic.
    Failed(String),
}

/// The outcomes of all scenarios, in the order of [`SCENARIOS`](crate::SCENARIOS).
///
/// Its `Display` text has a line for each scenario that did not pass, and a line with the counts.
#[derive(Debug, Clone, Default)]
#[must_use = "a registry may have failed"]
pub struct Report {
    outcomes: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// Every scenario with its outcome.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, &Outcome)> {
        self.outcomes.iter().map(|(name, outcome)| (*name, outcome))
    }

    /// The names of the scenarios that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        let failed = self.outcomes();
        let failed = failed.filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
        failed.map(|(name, _)| name).collect()
    }

    /// The names of the scenarios that were skipped.
    pub fn skipped(&self) -> Vec<&'static str> {
        let skipped = self.outcomes();
        let skipped = skipped.filter(|(_, outcome)| matches!(outcome, Outcome::Skipped(_)));
        skipped.map(|(name, _)| name).collect()
    }

    pub(super) fn add(&mut self, name: &'static str, outcome: Outcome) {
        self.outcomes.push((name, outcome));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome) in self.outcomes() {
            match outcome {
                Outcome::Passed => {}
                Outcome::Skipped(why) => writeln!(f, "{name} was skipped: {why}")?,
                Outcome::Failed(what) => writeln!(f, "{name} failed: {what}")?,
            }
        }
        let (all, failed) = (self.outcomes.len(), self.failed().len());
        let skipped = self.skipped().len();
        let passed = all - failed - skipped;
        write!(f, "{passed} passed, {skipped} skipped, {failed} failed")
    }
}

/// Polls a scenario to its end and turns a panic into an outcome.
pub(super) async fn catch_outcome(play: impl Future<Output = ScenarioResult>) -> Outcome {
    let mut play = pin!(play);
    poll_fn(|context| {
        // A scenario that panicked is dropped with its simulation, so no broken state is seen
        // later.
        match catch_unwind(AssertUnwindSafe(|| play.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(()))) => Poll::Ready(Outcome::Passed),
            Ok(Poll::Ready(Err(why))) => Poll::Ready(Outcome::Skipped(why)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                Poll::Ready(Outcome::Failed(text.unwrap_or_default()))
            }
        }
    })
    .await
}

/// Prints why a scenario was skipped, directly to standard error: `cargo test` hides what passing
/// tests print with `eprintln!`.
pub(super) fn print_skipped(name: &str, skipped: &Skipped) {
    // If standard error is closed, nobody can read the line.
    drop(writeln!(std::io::stderr(), "{name} was skipped: {skipped}"));
}
