//! The load of messages: sends them by a [`Rule`], at a pace, and counts what arrives.
//!
//! This is the path of every message: nothing is allocated, the clock is read once for each read of a
//! socket, and what one read calls for is answered in one write.

use std::{
    collections::{HashMap, VecDeque},
    mem,
};

use super::{
    encoder::Messages,
    meter::Meter,
    runner::Runner,
    schedule::Schedule,
    workload::{Arrival, Rule},
};
use crate::{
    clock::{self, MILLISECOND, SECOND, nanoseconds},
    connections::{Connections, Handler},
    coordinator::{Coordinator, Gate},
    outcome::Outcome,
    partition::Share,
    plan::Pace,
    stamp::Stamp,
};

/// How long is waited at the end for what is under way.
pub(crate) const GRACE: u64 = 5 * SECOND;

const TICK: u64 = 20 * MILLISECOND;
/// So many leave at most before sockets are read again.
const MOST: u64 = 4096;
/// What was held up leaves in writes of so many messages.
const BATCH: usize = 64;

/// Plays a rule.
pub(super) fn run<R: Rule>(
    share: &Share,
    coordinator: &mut dyn Coordinator,
    rule: R,
) -> anyhow::Result<Outcome> {
    let mut runner = Runner::new(share, coordinator)?;
    let mut traffic = Traffic::new(share, rule);
    let begin = runner.open(share, &mut traffic)?;
    traffic.wait(&mut runner, begin)?;
    traffic.begin(&mut runner.connections, share, begin);
    traffic.play(&mut runner)?;
    traffic.drain(&mut runner)?;
    let meter = mem::replace(&mut traffic.meter, Meter::new(0, 0));
    let elapsed = meter.end() - meter.begin();
    runner.finish(meter, elapsed, &mut traffic)
}

struct Traffic<R> {
    rule: R,
    messages: Messages,
    meter: Meter,
    senders: VecDeque<usize>,
    /// Under way for each sender, in a closed loop; 0 in an open one, and before and after.
    in_flight: u32,
    schedule: Option<Schedule>,
    /// When messages should have left that wait for their sender's socket.
    backlog: HashMap<usize, VecDeque<u64>>,
    /// Where the last stamp was found.
    hint: usize,
    /// Who answers what is being read, and with how many messages.
    answer: (usize, u32),
    output: Vec<u8>,
    /// Arrivals that were called for, and those that came.
    expected: u64,
    received: u64,
    /// Messages that came to whom they were not for, or had come before.
    misdelivered: u64,
    repeated: u64,
}

impl<R: Rule> Handler for Traffic<R> {
    #[inline]
    fn message(&mut self, at: usize, message: &[u8], now: u64) {
        let Some(stamp) = Stamp::find(message, &mut self.hint) else {
            return;
        };
        match self.rule.arrived(at, stamp) {
            Arrival::Taken(over) => {
                self.received += 1;
                self.meter.arrived(stamp.time, now);
                self.answer = (self.rule.sender_for(at), self.answer.1 + over);
            }
            Arrival::Misdelivered => self.misdelivered += 1,
            Arrival::Repeated => self.repeated += 1,
            Arrival::Ignored => {}
        }
    }

    fn read(&mut self, connections: &mut Connections, now: u64) {
        let (sender, count) = mem::take(&mut self.answer);
        if count > 0 && self.in_flight > 0 {
            self.send(connections, sender, (0..count).map(|_| now), now);
        }
    }

    fn writable(&mut self, connections: &mut Connections, at: usize) {
        let Some(mut backlog) = self.backlog.remove(&at) else {
            return;
        };
        while !backlog.is_empty() && connections.is_open(at) && !connections.is_congested(at) {
            let batch = backlog.len().min(BATCH);
            self.send(connections, at, backlog.drain(..batch), clock::now());
        }
        if !backlog.is_empty() {
            self.backlog.insert(at, backlog);
        }
    }

    fn ended(&mut self, connections: &mut Connections, at: usize) {
        let ended = self.rule.ended(at);
        if let Some(retired) = ended.retired {
            self.senders.retain(|sender| *sender != retired);
        }
        let in_flight = self.in_flight;
        let (sender, count) = match ended.successor {
            Some(successor) => {
                self.senders.push_back(successor);
                (successor, in_flight)
            }
            None => (self.rule.sender_for(at), ended.over),
        };
        if in_flight > 0 && count > 0 {
            let now = clock::now();
            self.send(connections, sender, (0..count).map(|_| now), now);
        }
    }
}

impl<R: Rule> Traffic<R> {
    fn new(share: &Share, rule: R) -> Self {
        Self {
            messages: Messages::new(share),
            meter: Meter::new(0, 0),
            senders: rule.senders().into(),
            rule,
            in_flight: 0,
            schedule: None,
            backlog: HashMap::new(),
            hint: 0,
            answer: (0, 0),
            output: Vec::new(),
            expected: 0,
            received: 0,
            misdelivered: 0,
            repeated: 0,
        }
    }

    fn wait(&mut self, runner: &mut Runner<'_>, until: u64) -> anyhow::Result<()> {
        while clock::now() < until {
            runner.turn(until, true, self)?;
        }
        Ok(())
    }

    fn begin(&mut self, connections: &mut Connections, share: &Share, begin: u64) {
        let counted = begin.saturating_add(nanoseconds(share.plan.warm_up));
        let end = counted.saturating_add(nanoseconds(share.plan.duration));
        self.meter = Meter::new(counted, end);
        match share.plan.pace {
            // With several processes, only the first may have somebody who broadcasts.
            Pace::PerSecond(_) if self.senders.is_empty() => {}
            Pace::PerSecond(rate) => self.schedule = Some(Schedule::new(begin, rate)),
            Pace::InFlight(count) => {
                self.in_flight = count;
                for sender in self.senders.clone() {
                    let now = clock::now();
                    self.send(connections, sender, (0..count).map(|_| now), now);
                }
            }
        }
    }

    /// Sends and counts until the time is over, or nobody is left.
    fn play(&mut self, runner: &mut Runner<'_>) -> anyhow::Result<()> {
        let (begin, end) = (self.meter.begin(), self.meter.end());
        let mut counting = false;
        loop {
            let now = clock::now();
            if now >= begin && !counting {
                counting = true;
                runner.counting(true);
            }
            let due = self.send_due(&mut runner.connections, now);
            if now >= end || runner.connections.open == 0 {
                break;
            }
            runner.tell_running(begin, now, self.meter.arrived);
            let next = if counting { end } else { begin };
            let until = next.min(now + TICK).min(due);
            runner.turn(until, self.schedule.is_some(), self)?;
        }
        if !counting {
            runner.counting(true);
        }
        runner.counting(false);
        self.meter.cut(clock::now());
        self.in_flight = 0;
        Ok(())
    }

    /// Sends what is due, and says when the next is. What one sender is behind with leaves in one
    /// write, so that the load catches up faster than it fell behind.
    fn send_due(&mut self, connections: &mut Connections, now: u64) -> u64 {
        let limit = now.min(self.meter.end().saturating_sub(1));
        let senders = self.senders.len();
        let Some(mut schedule) = self.schedule.take_if(|_| senders > 0) else {
            return u64::MAX;
        };
        let due = schedule.due(limit, MOST.max(senders as u64));
        for ahead in (0..due).take(senders) {
            let times = (ahead..due).step_by(senders);
            let times = times.map(|ahead| schedule.time(ahead));
            self.take_turn(connections, times);
        }
        schedule.take(due);
        let next = schedule.next();
        self.schedule = Some(schedule);
        if next < self.meter.end() {
            next
        } else {
            u64::MAX
        }
    }

    /// The next sender in turn sends, or adds to its backlog where its socket is full.
    fn take_turn(&mut self, connections: &mut Connections, times: impl Iterator<Item = u64>) {
        let Some(sender) = self.senders.front().copied() else {
            return;
        };
        self.senders.rotate_left(1);
        if connections.is_congested(sender) || self.backlog.contains_key(&sender) {
            self.backlog.entry(sender).or_default().extend(times);
        } else {
            self.send(connections, sender, times, clock::now());
        }
    }

    /// How many should have left, and have not.
    fn unsent(&self) -> u64 {
        let backlog: usize = self.backlog.values().map(VecDeque::len).sum();
        let last = self.meter.end().saturating_sub(1);
        let due = |schedule: &Schedule| schedule.due(last, u64::MAX >> 16);
        backlog as u64 + self.schedule.as_ref().map_or(0, due)
    }

    /// Sends messages that should leave at `times`, all in one write.
    #[inline]
    fn send(
        &mut self,
        connections: &mut Connections,
        sender: usize,
        times: impl IntoIterator<Item = u64>,
        now: u64,
    ) {
        if !connections.is_open(sender) {
            return;
        }
        self.output.clear();
        for time in times {
            let sequence = self.messages.made();
            self.messages.append(&mut self.output, sender, time);
            self.expected += self.rule.left(sender, sequence);
            self.meter.sent(now);
        }
        connections.send(sender, &self.output);
    }

    /// Waits for what is under way, and counts what does not come.
    fn drain(&mut self, runner: &mut Runner<'_>) -> anyhow::Result<()> {
        self.await_arrivals(runner, |traffic| {
            traffic.received >= traffic.expected && traffic.unsent() == 0
        })?;
        let issued = runner.pass(Gate::Sent, u64::from(self.messages.made()), self)?;
        self.await_arrivals(runner, |traffic| traffic.rule.awaited(issued) == 0)?;
        let missing = self.expected.saturating_sub(self.received);
        let faults = &mut runner.connections.faults;
        faults.lost += missing + self.unsent() + self.rule.awaited(issued);
        faults.misdelivered += self.misdelivered;
        faults.repeated += self.repeated;
        Ok(())
    }

    fn await_arrivals(
        &mut self,
        runner: &mut Runner<'_>,
        is_over: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = clock::now() + GRACE;
        while !is_over(self) && runner.connections.open > 0 && clock::now() < deadline {
            let now = clock::now();
            let due = self.send_due(&mut runner.connections, now).max(now);
            runner.turn(due.min(deadline).min(now + TICK), false, self)?;
        }
        Ok(())
    }
}
