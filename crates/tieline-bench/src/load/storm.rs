//! All connections are dropped at once, without a word, and made again as fast as the server takes
//! them. What lies between the rounds does not count.

use super::{meter::Meter, stage::Stage};
use crate::{
    conduct::{Conductor, Gate},
    crowd::{Crowd, Ear},
    outcome::Outcome,
    share::Share,
};

/// Breaks loose as often as the plan says.
pub(super) fn run(share: &Share, conductor: &mut dyn Conductor) -> anyhow::Result<Outcome> {
    let mut stage = Stage::new(share, conductor)?;
    let mut storm = Storm {
        meter: Meter::new(0, u64::MAX),
        counts: false,
    };
    stage.open(share, &mut storm)?;
    let mut elapsed = 0;
    for _ in 0..share.plan.rounds {
        if stage.crowd.open == 0 {
            break;
        }
        stage.pass(Gate::Round, 0, &mut storm)?;
        stage.counting(true);
        (0..share.connections).for_each(|at| stage.crowd.drop(at));
        storm.counts = true;
        elapsed += stage.dial(0..share.connections, &mut storm)?;
        storm.counts = false;
        stage.counting(false);
        stage.tell_running(0, elapsed, storm.meter.arrived);
        stage.settle(&mut storm)?;
    }
    let meter = std::mem::replace(&mut storm.meter, Meter::new(0, 0));
    stage.finish(meter, elapsed, &mut storm)
}

struct Storm {
    meter: Meter,
    counts: bool,
}

impl Ear for Storm {
    fn opened(&mut self, _: &mut Crowd, _: usize, began: u64, now: u64) {
        if self.counts {
            self.meter.sent(began);
            self.meter.arrived(began, now);
        }
    }
}
