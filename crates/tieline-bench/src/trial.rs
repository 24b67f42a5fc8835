//! One measurement of a target, from its start to its end.

use anyhow::anyhow;

use crate::{outcome::Outcome, plan::Plan, progress_bar::ProgressBar, run, target::Target};

/// Starts the target, runs the plan and stops the target. If a started server exits early, its output
/// comes first among the faults: it explains more than the broken connections.
pub(crate) fn measure(target: &Target, plan: &Plan, bar: &ProgressBar) -> anyhow::Result<Outcome> {
    let mut running = target.start()?;
    let measured = run::run(&running.aim(plan), bar);
    match (measured, running.ended()) {
        (Ok(mut outcome), Some(ended)) => {
            outcome.faults.examples.insert(0, ended);
            Ok(outcome)
        }
        (Err(error), Some(ended)) => Err(anyhow!("{error:#}; {ended}")),
        (measured, None) => measured,
    }
}
