//! One measurement: a target is there for the time of a plan.

use anyhow::anyhow;

use crate::{outcome::Outcome, plan::Plan, progress_bar::Bar, run, target::Target};

/// Starts what is to be started, measures it, and ends it. A server that ended meanwhile has the last
/// word: what it said tells more than the connections that broke.
pub(crate) fn measure(target: &Target, plan: &Plan, bar: &Bar) -> anyhow::Result<Outcome> {
    let mut running = target.start()?;
    let aimed = Plan {
        urls: running.urls.clone(),
        pids: running.pids.clone(),
        ..plan.clone()
    };
    let measured = run::run(&aimed, bar);
    match (measured, running.ended()) {
        (Ok(mut outcome), Some(ended)) => {
            outcome.faults.examples.insert(0, ended);
            Ok(outcome)
        }
        (Err(error), Some(ended)) => Err(anyhow!("{error:#}; {ended}")),
        (measured, None) => measured,
    }
}
