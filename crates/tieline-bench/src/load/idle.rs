//! Connections that do nothing: what they cost is what is measured.

use super::{meter::Meter, stage::Stage};
use crate::{
    clock,
    conduct::Conductor,
    crowd::{Crowd, Ear},
    load::nanoseconds,
    outcome::{Latency, Outcome},
    share::Share,
};

const TICK: u64 = 50 * clock::MILLISECOND;

/// Holds connections for the counted time.
pub(super) fn run(share: &Share, conductor: &mut dyn Conductor) -> anyhow::Result<Outcome> {
    let mut stage = Stage::new(share, conductor)?;
    let mut idle = Idle(Latency::new());
    let begin = stage.open(share, &mut idle)?;
    let end = begin.saturating_add(nanoseconds(share.plan.duration));
    stage.counting(true);
    while stage.crowd.open > 0 && clock::now() < end {
        let now = clock::now();
        stage.tell_running(begin, now, 0);
        stage.turn(end.min(now + TICK), false, &mut idle)?;
    }
    stage.counting(false);
    let mut meter = Meter::new(begin, end);
    meter.cut();
    meter.latency = idle.0;
    let elapsed = meter.end() - begin;
    stage.finish(meter, elapsed, &mut Idle(Latency::new()))
}

/// Knows how long handshakes took.
struct Idle(Latency);

impl Ear for Idle {
    fn opened(&mut self, _: &mut Crowd, _: usize, began: u64, now: u64) {
        self.0.0.saturating_record(now.saturating_sub(began));
    }
}
