//! The load of one process: a share of a plan is played, and an outcome found.

mod broadcast;
mod churn;
mod direct;
mod echo;
mod idle;
mod messages;
mod meter;
mod rule;
mod runner;
mod schedule;
mod storm;
mod traffic;
mod under_way;

use std::time::Duration;

use self::{broadcast::Broadcast, direct::Direct, echo::Echo};
use crate::{
    clock::SECOND, coordinate::Coordinator, outcome::Outcome, plan::Scenario, share::Share,
};

/// How long is waited at the end for what is under way.
pub(crate) const GRACE: u64 = 5 * SECOND;

/// Plays a share. Servers that fail are found in the outcome; an error is one of this machine.
pub(crate) fn play(share: &Share, coordinator: &mut dyn Coordinator) -> anyhow::Result<Outcome> {
    match share.plan.scenario {
        Scenario::Echo => traffic::run(share, coordinator, Echo::new(share)),
        Scenario::Direct => traffic::run(share, coordinator, Direct::new(share)),
        Scenario::Broadcast => {
            let rule = Broadcast::new(share.connections, share.first == 0);
            traffic::run(share, coordinator, rule)
        }
        Scenario::Idle => idle::run(share, coordinator),
        Scenario::Storm => storm::run(share, coordinator),
        Scenario::Churn => churn::run(share, coordinator),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
