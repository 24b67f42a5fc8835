//! Each connection is closed as soon as it is open, and reopened: at once in a closed loop, on schedule
//! in an open loop, where latency counts from the scheduled time.
//!
//! Owns which connection is opened next, and the retries of refused ones. Must not know how a connection
//! is opened. A server that refuses all connections again and again ends the load early.

use std::collections::VecDeque;

use super::{meter::Meter, runner::Runner, schedule::Schedule};
use crate::{
    clock::{self, MILLISECOND, nanoseconds},
    connections::{Connections, Handler},
    coordinator::{Barrier, Coordinator},
    outcome::Outcome,
    partition::Partition,
    plan::Pacing,
};

const TICK: u64 = 20 * MILLISECOND;
/// The time until a refused connection is retried.
const PAUSE: u64 = 100 * MILLISECOND;
/// The server counts as gone after this many refusals per connection in a row.
const REFUSALS: u64 = 20;

/// Opens and closes connections until the measurement time is over.
pub(super) fn run(
    partition: &Partition,
    coordinator: &mut dyn Coordinator,
) -> anyhow::Result<Outcome> {
    let mut runner = Runner::new(partition, coordinator)?;
    let mut churn = Churn::new(partition.connections);
    let begin = runner.open(partition, &mut churn)?;
    churn.begin(partition, begin);
    if runner.connections.open > 0 {
        (0..partition.connections).for_each(|at| churn.free(&mut runner.connections, at));
        churn.play(&mut runner, begin)?;
    }
    churn.end();
    runner.wait_at(Barrier::Sent, 0, &mut churn)?;
    let meter = std::mem::replace(&mut churn.meter, Meter::new(0, 0));
    let elapsed = meter.end() - meter.begin();
    runner.finish(meter, elapsed, &mut churn)
}

struct Churn {
    meter: Meter,
    /// The load is running.
    runs: bool,
    schedule: Option<Schedule>,
    /// For each connection, the time from which its latency counts.
    since: Vec<u64>,
    /// In an open loop, the connections that wait to be opened.
    vacant: Vec<usize>,
    /// Refused connections, with the time of their retry.
    refused: VecDeque<(u64, usize)>,
    /// Refusals since a connection last opened.
    refusals: u64,
    /// When the first of these refusals was.
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

    fn begin(&mut self, partition: &Partition, begin: u64) {
        let counted = begin.saturating_add(nanoseconds(partition.plan.warm_up));
        let end = counted.saturating_add(nanoseconds(partition.plan.duration));
        self.meter = Meter::new(counted, end);
        self.runs = true;
        if let Pacing::PerSecond(rate) = partition.plan.pace {
            self.schedule = Some(Schedule::new(begin, rate));
        }
    }

    fn play(&mut self, runner: &mut Runner<'_>, begin: u64) -> anyhow::Result<()> {
        let (counted, end) = (self.meter.begin(), self.meter.end());
        let mut counting = false;
        while clock::now() < end && !self.server_is_gone() {
            let now = clock::now();
            if now >= counted && !counting {
                counting = true;
                runner.set_measuring(true);
            }
            self.try_again(&mut runner.connections, now);
            let due = self.open_due(&mut runner.connections, now);
            runner.report_running(begin.max(counted), now, self.meter.arrived);
            let next = if counting { end } else { counted };
            let until = next.min(now + TICK).min(due);
            runner.poll_once(until, self.schedule.is_some(), self)?;
        }
        if !counting {
            runner.set_measuring(true);
        }
        runner.set_measuring(false);
        Ok(())
    }

    /// If the server is gone, the window ends at its first refusal.
    fn end(&mut self) {
        self.runs = false;
        self.meter.cut(match self.missed {
            Some(missed) if self.server_is_gone() => missed,
            _ => clock::now(),
        });
    }

    fn server_is_gone(&self) -> bool {
        self.refusals >= REFUSALS * self.since.len() as u64
    }

    /// Opens the connections that are due; yields when the next is due, or never if none waits.
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

    /// Closes a connection, and reopens it when it is due.
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
