//! Connections that send nothing, to measure their cost.
//!
//! Owns only the latency of handshakes; memory is measured by the coordinator. Must not send anything.

use super::{meter::Meter, runner::Runner};
use crate::{
    clock::{self, nanoseconds},
    connections::{Connections, Handler},
    coordinator::Coordinator,
    outcome::{Latency, Outcome},
    partition::Partition,
};

const TICK: u64 = 50 * clock::MILLISECOND;

/// Keeps connections open until the measurement time is over.
pub(super) fn run(
    partition: &Partition,
    coordinator: &mut dyn Coordinator,
) -> anyhow::Result<Outcome> {
    let mut runner = Runner::new(partition, coordinator)?;
    let mut idle = Idle(Latency::new());
    let begin = runner.open(partition, &mut idle)?;
    let end = begin.saturating_add(nanoseconds(partition.plan.duration));
    runner.set_measuring(true);
    while runner.connections.open > 0 && clock::now() < end {
        let now = clock::now();
        runner.report_running(begin, now, 0);
        runner.poll_once(end.min(now + TICK), false, &mut idle)?;
    }
    runner.set_measuring(false);
    let mut meter = Meter::new(begin, end);
    meter.cut(clock::now());
    meter.latency = idle.0;
    let elapsed = meter.end() - begin;
    runner.finish(meter, elapsed, &mut Idle(Latency::new()))
}

/// Records the latency of handshakes.
struct Idle(Latency);

impl Handler for Idle {
    fn opened(&mut self, _: &mut Connections, _: usize, began: u64, now: u64) {
        self.0.0.saturating_record(now.saturating_sub(began));
    }
}
