//! The load of one process: runs its part of a plan, which yields an outcome.
//!
//! Owns the scenarios and the path of a measured message. Must not know other processes, except through
//! its coordinator.

mod broadcast;
mod churn;
mod direct;
mod echo;
mod encoder;
mod flow;
mod idle;
mod meter;
mod mixed;
mod pending;
mod reader;
mod rooms;
mod runner;
mod schedule;
mod storm;
mod traffic;
mod workload;

pub(crate) use self::traffic::GRACE;
use self::{broadcast::Broadcast, direct::Direct, echo::Echo, mixed::Mixed, rooms::Rooms};
use crate::{coordinator::Coordinator, outcome::Outcome, partition::Partition, plan::Scenario};

/// Runs a part of a plan. Faults of the server are in the outcome; an error is one of this machine.
pub(crate) fn play(
    partition: &Partition,
    coordinator: &mut dyn Coordinator,
) -> anyhow::Result<Outcome> {
    match partition.plan.scenario {
        // A response is the echo of its request.
        Scenario::Echo | Scenario::Rest => {
            traffic::run(partition, coordinator, Echo::new(partition))
        }
        Scenario::Direct => traffic::run(partition, coordinator, Direct::new(partition, 0)),
        Scenario::Mixed => traffic::run(partition, coordinator, Mixed::new(partition)),
        Scenario::Rooms => traffic::run(partition, coordinator, Rooms::new(partition)),
        Scenario::Broadcast => {
            let receivers = partition.connections;
            let candidates = if partition.first == 0 { receivers } else { 0 };
            let own_copies = partition.plan.wire.has_own_copies();
            let workload = Broadcast::new(receivers, candidates).with_own_copies(own_copies);
            traffic::run(partition, coordinator, workload)
        }
        Scenario::Idle => idle::run(partition, coordinator),
        Scenario::Storm => storm::run(partition, coordinator),
        Scenario::Churn => churn::run(partition, coordinator),
    }
}
