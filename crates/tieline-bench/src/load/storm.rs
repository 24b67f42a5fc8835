//! All connections are dropped at once, without a close, and reopened as fast as the server accepts
//! them. The time between rounds does not count.
//!
//! Owns the rounds and their time. Must not know how connections are opened. Invariant: only handshakes
//! within a round count.

use super::{meter::Meter, runner::Runner};
use crate::{
    connections::{Connections, Handler},
    coordinator::{Barrier, Coordinator},
    outcome::Outcome,
    partition::Partition,
};

/// Runs the rounds of the plan.
pub(super) fn run(
    partition: &Partition,
    coordinator: &mut dyn Coordinator,
) -> anyhow::Result<Outcome> {
    let mut runner = Runner::new(partition, coordinator)?;
    let mut storm = Storm {
        meter: Meter::new(0, u64::MAX),
        counts: false,
    };
    runner.open(partition, &mut storm)?;
    let mut elapsed = 0;
    for _ in 0..partition.plan.rounds {
        if runner.connections.open == 0 {
            break;
        }
        runner.wait_at(Barrier::Round, 0, &mut storm)?;
        runner.set_measuring(true);
        (0..partition.connections).for_each(|at| runner.connections.drop(at));
        storm.counts = true;
        elapsed += runner.dial(0..partition.connections, &mut storm)?;
        storm.counts = false;
        runner.set_measuring(false);
        runner.report_running(0, elapsed, storm.meter.arrived);
        runner.settle(&mut storm)?;
    }
    let meter = std::mem::replace(&mut storm.meter, Meter::new(0, 0));
    runner.finish(meter, elapsed, &mut storm)
}

struct Storm {
    meter: Meter,
    counts: bool,
}

impl Handler for Storm {
    fn opened(&mut self, _: &mut Connections, _: usize, began: u64, now: u64) {
        if self.counts {
            self.meter.sent(began);
            self.meter.arrived(began, now);
        }
    }
}
