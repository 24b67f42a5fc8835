//! The load of one process: a share of a plan is played, and an outcome found.

mod broadcast;
mod churn;
mod direct;
mod echo;
mod idle;
mod messages;
mod meter;
mod rule;
mod schedule;
mod stage;
mod storm;
mod traffic;

use std::time::Duration;

use self::{broadcast::Broadcast, direct::Direct, echo::Echo};
use crate::{conduct::Conductor, outcome::Outcome, plan::Scenario, share::Share};

/// Plays a share. Servers that fail are found in the outcome; an error is one of this machine.
pub(crate) fn play(share: &Share, conductor: &mut dyn Conductor) -> anyhow::Result<Outcome> {
    let connections = share.connections;
    match share.plan.scenario {
        Scenario::Echo => traffic::run(share, conductor, Echo(connections)),
        Scenario::Direct => traffic::run(share, conductor, Direct(connections)),
        Scenario::Broadcast => {
            let rule = Broadcast::new(connections, share.first == 0);
            traffic::run(share, conductor, rule)
        }
        Scenario::Idle => idle::run(share, conductor),
        Scenario::Storm => storm::run(share, conductor),
        Scenario::Churn => churn::run(share, conductor),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
