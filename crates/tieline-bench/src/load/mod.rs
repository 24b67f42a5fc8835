//! The load of one process: a share of a plan is played, and an outcome found.

mod broadcast;
mod churn;
mod direct;
mod echo;
mod encoder;
mod idle;
mod meter;
mod pending;
mod runner;
mod schedule;
mod storm;
mod traffic;
mod workload;

pub(crate) use self::traffic::GRACE;
use self::{broadcast::Broadcast, direct::Direct, echo::Echo};
use crate::{coordinator::Coordinator, outcome::Outcome, partition::Share, plan::Scenario};

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
