//! Each connection is closed as soon as it is open, and made again: at once in a closed loop, by a
//! schedule in an open one. Latency then counts from the moment that the schedule wanted.

use std::collections::VecDeque;

use super::{meter::Meter, runner::Runner, schedule::Schedule};
use crate::{
    clock::{self, MILLISECOND, nanoseconds},
    connections::{Connections, Handler},
    coordinator::{Coordinator, Gate},
    outcome::Outcome,
    partition::Share,
    plan::Pace,
};

const TICK: u64 = 20 * MILLISECOND;
/// A server that refuses is asked again after so long.
const PAUSE: u64 = 100 * MILLISECOND;
/// It is given up when every connection was refused so often since the last one that opened.
const REFUSALS: u64 = 20;

/// Opens and closes for the counted time.
pub(super) fn run(share: &Share, coordinator: &mut dyn Coordinator) -> anyhow::Result<Outcome> {
    let mut runner = Runner::new(share, coordinator)?;
    let mut churn = Churn::new(share.connections);
    let begin = runner.open(share, &mut churn)?;
    churn.begin(share, begin);
    if runner.connections.open > 0 {
        (0..share.connections).for_each(|at| churn.free(&mut runner.connections, at));
        churn.play(&mut runner, begin)?;
    }
    churn.end();
    runner.pass(Gate::Sent, 0, &mut churn)?;
    let meter = std::mem::replace(&mut churn.meter, Meter::new(0, 0));
    let elapsed = meter.end() - meter.begin();
    runner.finish(meter, elapsed, &mut churn)
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
    /// When the first of these was.
    missed: Option<u64>,
}

impl Handler for Churn {
    fn opened(&mut self, connections: &mut Connections, at: usize, _: u64, now: u64) {
        if self.runs {
            self.refusals = 0;
            self.missed = None;
            self.meter.arrived(self.since[at], now);
            self.free(connections, at);
        }
    }

    fn ended(&mut self, _: &mut Connections, at: usize) {
        if self.runs {
            let now = clock::now();
            self.refusals += 1;
            self.missed.get_or_insert(now);
            self.refused.push_back((now + PAUSE, at));
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
            missed: None,
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

    fn play(&mut self, runner: &mut Runner<'_>, begin: u64) -> anyhow::Result<()> {
        let (counted, end) = (self.meter.begin(), self.meter.end());
        let mut counting = false;
        while clock::now() < end && !self.is_hopeless() {
            let now = clock::now();
            if now >= counted && !counting {
                counting = true;
                runner.counting(true);
            }
            self.try_again(&mut runner.connections, now);
            let due = self.open_due(&mut runner.connections, now);
            runner.tell_running(begin.max(counted), now, self.meter.arrived);
            let next = if counting { end } else { counted };
            let until = next.min(now + TICK).min(due);
            runner.turn(until, self.schedule.is_some(), self)?;
        }
        if !counting {
            runner.counting(true);
        }
        runner.counting(false);
        Ok(())
    }

    /// Where the server is gone, the window ends when it was first missed.
    fn end(&mut self) {
        self.runs = false;
        self.meter.cut(match self.missed {
            Some(missed) if self.is_hopeless() => missed,
            _ => clock::now(),
        });
    }

    fn is_hopeless(&self) -> bool {
        self.refusals >= REFUSALS * self.since.len() as u64
    }

    /// Opens what is due, and says when the next is; nothing is due while none is vacant.
    fn open_due(&mut self, connections: &mut Connections, now: u64) -> u64 {
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
            self.dial(connections, at, due);
        }
    }

    /// A connection is not needed any more: it is closed, and made again when it is its turn.
    fn free(&mut self, connections: &mut Connections, at: usize) {
        connections.close(at);
        match self.schedule {
            Some(_) => self.vacant.push(at),
            None => self.dial(connections, at, clock::now()),
        }
    }

    fn try_again(&mut self, connections: &mut Connections, now: u64) {
        while let Some((_, at)) = self.refused.pop_front_if(|(when, _)| *when <= now) {
            self.free(connections, at);
        }
    }

    fn dial(&mut self, connections: &mut Connections, at: usize, since: u64) {
        self.since[at] = since;
        self.meter.sent(clock::now());
        connections.dial(at);
    }
}
