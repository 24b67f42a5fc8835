//! All connections are dropped at once, without a word, and made again as fast as the server takes
//! them. What lies between the rounds does not count.

use super::{meter::Meter, runner::Runner};
use crate::{
    connections::{Connections, Handler},
    coordinator::{Coordinator, Gate},
    outcome::Outcome,
    partition::Share,
};

/// Breaks loose as often as the plan says.
pub(super) fn run(share: &Share, coordinator: &mut dyn Coordinator) -> anyhow::Result<Outcome> {
    let mut runner = Runner::new(share, coordinator)?;
    let mut storm = Storm {
        meter: Meter::new(0, u64::MAX),
        counts: false,
    };
    runner.open(share, &mut storm)?;
    let mut elapsed = 0;
    for _ in 0..share.plan.rounds {
        if runner.connections.open == 0 {
            break;
        }
        runner.pass(Gate::Round, 0, &mut storm)?;
        runner.counting(true);
        (0..share.connections).for_each(|at| runner.connections.drop(at));
        storm.counts = true;
        elapsed += runner.dial(0..share.connections, &mut storm)?;
        storm.counts = false;
        runner.counting(false);
        runner.tell_running(0, elapsed, storm.meter.arrived);
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
