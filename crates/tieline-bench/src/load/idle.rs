//! Connections that do nothing: what they cost is what is measured.

use super::{meter::Meter, runner::Runner};
use crate::{
    clock::{self, nanoseconds},
    connections::{Connections, Handler},
    coordinator::Coordinator,
    outcome::{Latency, Outcome},
    partition::Share,
};

const TICK: u64 = 50 * clock::MILLISECOND;

/// Holds connections for the counted time.
pub(super) fn run(share: &Share, coordinator: &mut dyn Coordinator) -> anyhow::Result<Outcome> {
    let mut runner = Runner::new(share, coordinator)?;
    let mut idle = Idle(Latency::new());
    let begin = runner.open(share, &mut idle)?;
    let end = begin.saturating_add(nanoseconds(share.plan.duration));
    runner.counting(true);
    while runner.connections.open > 0 && clock::now() < end {
        let now = clock::now();
        runner.tell_running(begin, now, 0);
        runner.turn(end.min(now + TICK), false, &mut idle)?;
    }
    runner.counting(false);
    let mut meter = Meter::new(begin, end);
    meter.cut(clock::now());
    meter.latency = idle.0;
    let elapsed = meter.end() - begin;
    runner.finish(meter, elapsed, &mut Idle(Latency::new()))
}

/// Knows how long handshakes took.
struct Idle(Latency);

impl Handler for Idle {
    fn opened(&mut self, _: &mut Connections, _: usize, began: u64, now: u64) {
        self.0.0.saturating_record(now.saturating_sub(began));
    }
}
