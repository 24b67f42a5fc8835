//! Each connection is closed as soon as it is open, and made again: at once in a closed loop, by a
//! schedule in an open one. Latency then counts from the moment that the schedule wanted.

use std::collections::VecDeque;

use super::{meter::Meter, schedule::Schedule, stage::Stage};
use crate::{
    clock::{self, MILLISECOND},
    conduct::{Conductor, Gate},
    crowd::{Crowd, Ear},
    load::nanoseconds,
    outcome::Outcome,
    plan::Pace,
    share::Share,
};

const TICK: u64 = 20 * MILLISECOND;
/// A server that refuses is asked again after so long.
const PAUSE: u64 = 100 * MILLISECOND;
/// It is given up when every connection was refused so often since the last one that opened.
const REFUSALS: u64 = 20;

/// Opens and closes for the counted time.
pub(super) fn run(share: &Share, conductor: &mut dyn Conductor) -> anyhow::Result<Outcome> {
    let mut stage = Stage::new(share, conductor)?;
    let mut churn = Churn::new(share.connections);
    let begin = stage.open(share, &mut churn)?;
    churn.begin(share, begin);
    if stage.crowd.open > 0 {
        (0..share.connections).for_each(|at| churn.free(&mut stage.crowd, at));
        churn.play(&mut stage, begin)?;
    }
    stage.pass(Gate::Sent, 0, &mut churn)?;
    let meter = std::mem::replace(&mut churn.meter, Meter::new(0, 0));
    let elapsed = meter.end() - meter.begin();
    stage.finish(meter, elapsed, &mut churn)
}

struct Churn {
    meter: Meter,
    /// It has begun, and is not over.
    runs: bool,
    schedule: Option<Schedule>,
    /// For each connection, since when its latency counts.
    since: Vec<u64>,
    /// In an open loop, connections that may be opened.
    vacant: Vec<usize>,
    /// Those that were refused, and when they are tried again.
    refused: VecDeque<(u64, usize)>,
    /// Refusals since a connection last opened.
    refusals: u64,
}

impl Ear for Churn {
    fn opened(&mut self, crowd: &mut Crowd, at: usize, _: u64, now: u64) {
        if self.runs {
            self.refusals = 0;
            self.meter.arrived(self.since[at], now);
            self.free(crowd, at);
        }
    }

    fn ended(&mut self, _: &mut Crowd, at: usize) {
        if self.runs {
            self.refusals += 1;
            self.refused.push_back((clock::now() + PAUSE, at));
        }
    }
}

impl Churn {
    fn new(connections: usize) -> Self {
        Self {
            meter: Meter::new(0, 0),
            runs: false,
            schedule: None,
            since: vec![0; connections],
            vacant: Vec::new(),
            refused: VecDeque::new(),
            refusals: 0,
        }
    }

    fn begin(&mut self, share: &Share, begin: u64) {
        let counted = begin.saturating_add(nanoseconds(share.plan.warm_up));
        let end = counted.saturating_add(nanoseconds(share.plan.duration));
        self.meter = Meter::new(counted, end);
        self.runs = true;
        if let Pace::PerSecond(rate) = share.plan.pace {
            self.schedule = Some(Schedule::new(begin, rate));
        }
    }

    fn play(&mut self, stage: &mut Stage<'_>, begin: u64) -> anyhow::Result<()> {
        let (counted, end) = (self.meter.begin(), self.meter.end());
        let limit = REFUSALS * self.since.len() as u64;
        let mut counting = false;
        while clock::now() < end && self.refusals < limit {
            let now = clock::now();
            if now >= counted && !counting {
                counting = true;
                stage.counting(true);
            }
            self.try_again(&mut stage.crowd, now);
            let due = self.pay(&mut stage.crowd, now);
            stage.tell_running(begin.max(counted), now, self.meter.arrived);
            let next = if counting { end } else { counted };
            let until = next.min(now + TICK).min(due);
            stage.turn(until, self.schedule.is_some(), self)?;
        }
        if !counting {
            stage.counting(true);
        }
        stage.counting(false);
        self.meter.cut();
        self.runs = false;
        Ok(())
    }

    /// Opens what is due, and says when the next is; nothing is due while none is vacant.
    fn pay(&mut self, crowd: &mut Crowd, now: u64) -> u64 {
        loop {
            let Some(schedule) = self.schedule.as_mut() else {
                return u64::MAX;
            };
            let due = schedule.next();
            if due > now {
                return due;
            }
            let Some(at) = self.vacant.pop() else {
                return u64::MAX;
            };
            schedule.take(1);
            self.dial(crowd, at, due);
        }
    }

    /// A connection is not needed any more: it is closed, and made again when it is its turn.
    fn free(&mut self, crowd: &mut Crowd, at: usize) {
        crowd.close(at);
        match self.schedule {
            Some(_) => self.vacant.push(at),
            None => self.dial(crowd, at, clock::now()),
        }
    }

    fn try_again(&mut self, crowd: &mut Crowd, now: u64) {
        while let Some((_, at)) = self.refused.pop_front_if(|(when, _)| *when <= now) {
            self.free(crowd, at);
        }
    }

    fn dial(&mut self, crowd: &mut Crowd, at: usize, since: u64) {
        self.since[at] = since;
        self.meter.sent(clock::now());
        crowd.dial(at);
    }
}
