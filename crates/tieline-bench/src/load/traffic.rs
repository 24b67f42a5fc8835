//! The load of messages: sends them by a [`Rule`], at a pace, and counts what arrives.
//!
//! This is the path of every message: nothing is allocated, the clock is read once for each read of a
//! socket, and what one read calls for is answered in one write.

use std::{
    collections::{HashMap, VecDeque},
    mem,
};

use super::{messages::Messages, meter::Meter, rule::Rule, schedule::Schedule, stage::Stage};
use crate::{
    clock::{self, MILLISECOND, SECOND},
    conduct::{Conductor, Gate},
    crowd::{Crowd, Ear},
    load::nanoseconds,
    outcome::Outcome,
    plan::Pace,
    share::Share,
    stamp::Stamp,
};

/// How long is waited at the end for what is under way.
const GRACE: u64 = 5 * SECOND;
const TICK: u64 = 20 * MILLISECOND;
/// So many leave at most before sockets are read again.
const MOST: u64 = 4096;
/// What was held up leaves in writes of so many messages.
const BATCH: usize = 64;

/// Plays a rule.
pub(super) fn run<R: Rule>(
    share: &Share,
    conductor: &mut dyn Conductor,
    rule: R,
) -> anyhow::Result<Outcome> {
    let mut stage = Stage::new(share, conductor)?;
    let mut traffic = Traffic::new(share, rule);
    let begin = stage.open(share, &mut traffic)?;
    traffic.wait(&mut stage, begin)?;
    traffic.begin(&mut stage.crowd, share, begin);
    traffic.play(&mut stage)?;
    traffic.drain(&mut stage)?;
    let meter = mem::replace(&mut traffic.meter, Meter::new(0, 0));
    let elapsed = meter.end() - meter.begin();
    stage.finish(meter, elapsed, &mut traffic)
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
    owed: HashMap<usize, VecDeque<u64>>,
    /// Where the last stamp was found.
    hint: usize,
    /// Who answers what is being read, and with how many messages.
    answer: (usize, u32),
    output: Vec<u8>,
    /// Arrivals that were called for, and those that came.
    expected: u64,
    received: u64,
}

impl<R: Rule> Ear for Traffic<R> {
    #[inline]
    fn message(&mut self, at: usize, message: &[u8], now: u64) {
        let Some(stamp) = Stamp::find(message, &mut self.hint) else {
            return;
        };
        let Some(over) = self.rule.arrived(at, stamp) else {
            return;
        };
        self.received += 1;
        self.meter.arrived(stamp.time, now);
        self.answer = (self.rule.sender_for(at), self.answer.1 + over);
    }

    fn read(&mut self, crowd: &mut Crowd, now: u64) {
        let (sender, count) = mem::take(&mut self.answer);
        if count > 0 && self.in_flight > 0 {
            self.send(crowd, sender, (0..count).map(|_| now), now);
        }
    }

    fn writable(&mut self, crowd: &mut Crowd, at: usize) {
        let Some(mut owed) = self.owed.remove(&at) else {
            return;
        };
        while !owed.is_empty() && crowd.is_open(at) && !crowd.is_congested(at) {
            let batch = owed.len().min(BATCH);
            self.send(crowd, at, owed.drain(..batch), clock::now());
        }
        if !owed.is_empty() {
            self.owed.insert(at, owed);
        }
    }

    fn ended(&mut self, crowd: &mut Crowd, at: usize) {
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
            self.send(crowd, sender, (0..count).map(|_| now), now);
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
            owed: HashMap::new(),
            hint: 0,
            answer: (0, 0),
            output: Vec::new(),
            expected: 0,
            received: 0,
        }
    }

    fn wait(&mut self, stage: &mut Stage<'_>, until: u64) -> anyhow::Result<()> {
        while clock::now() < until {
            stage.turn(until, true, self)?;
        }
        Ok(())
    }

    fn begin(&mut self, crowd: &mut Crowd, share: &Share, begin: u64) {
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
                    self.send(crowd, sender, (0..count).map(|_| now), now);
                }
            }
        }
    }

    /// Sends and counts until the time is over, or nobody is left.
    fn play(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        let (begin, end) = (self.meter.begin(), self.meter.end());
        let mut counting = false;
        loop {
            let now = clock::now();
            if now >= begin && !counting {
                counting = true;
                stage.counting(true);
            }
            let due = self.pay(&mut stage.crowd, now);
            if now >= end || stage.crowd.open == 0 {
                break;
            }
            stage.tell_running(begin, now, self.meter.arrived);
            let next = if counting { end } else { begin };
            let until = next.min(now + TICK).min(due);
            stage.turn(until, self.schedule.is_some(), self)?;
        }
        if !counting {
            stage.counting(true);
        }
        stage.counting(false);
        self.meter.cut();
        self.in_flight = 0;
        Ok(())
    }

    /// Sends what is due, and says when the next is. What one sender is behind with leaves in one
    /// write, so that the load catches up faster than it fell behind.
    fn pay(&mut self, crowd: &mut Crowd, now: u64) -> u64 {
        let limit = now.min(self.meter.end().saturating_sub(1));
        let senders = self.senders.len();
        let Some(mut schedule) = self.schedule.take_if(|_| senders > 0) else {
            return u64::MAX;
        };
        let due = schedule.due(limit, MOST.max(senders as u64));
        for ahead in (0..due).take(senders) {
            let times = (ahead..due).step_by(senders);
            let times = times.map(|ahead| schedule.time(ahead));
            self.take_turn(crowd, times);
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

    /// The next sender in turn sends, or owes where its socket is full.
    fn take_turn(&mut self, crowd: &mut Crowd, times: impl Iterator<Item = u64>) {
        let Some(sender) = self.senders.front().copied() else {
            return;
        };
        self.senders.rotate_left(1);
        if crowd.is_congested(sender) || self.owed.contains_key(&sender) {
            self.owed.entry(sender).or_default().extend(times);
        } else {
            self.send(crowd, sender, times, clock::now());
        }
    }

    /// How many should have left, and have not.
    fn unpaid(&self) -> u64 {
        let owed: usize = self.owed.values().map(VecDeque::len).sum();
        let last = self.meter.end().saturating_sub(1);
        let due = |schedule: &Schedule| schedule.due(last, u64::MAX >> 16);
        owed as u64 + self.schedule.as_ref().map_or(0, due)
    }

    /// Sends messages that should leave at `times`, all in one write.
    #[inline]
    fn send(
        &mut self,
        crowd: &mut Crowd,
        sender: usize,
        times: impl IntoIterator<Item = u64>,
        now: u64,
    ) {
        if !crowd.is_open(sender) {
            return;
        }
        self.output.clear();
        for time in times {
            let sequence = self.messages.made();
            self.messages.append(&mut self.output, sender, time);
            self.expected += self.rule.left(sequence);
            self.meter.sent(now);
        }
        crowd.send(sender, &self.output);
    }

    /// Waits for what is under way, and counts what does not come.
    fn drain(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        self.await_arrivals(stage, |traffic| {
            traffic.received >= traffic.expected && traffic.unpaid() == 0
        })?;
        let issued = stage.pass(Gate::Sent, u64::from(self.messages.made()), self)?;
        self.await_arrivals(stage, |traffic| traffic.rule.awaited(issued) == 0)?;
        let missing = self.expected.saturating_sub(self.received);
        stage.crowd.faults.lost += missing + self.unpaid() + self.rule.awaited(issued);
        Ok(())
    }

    fn await_arrivals(
        &mut self,
        stage: &mut Stage<'_>,
        is_over: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = clock::now() + GRACE;
        while !is_over(self) && stage.crowd.open > 0 && clock::now() < deadline {
            let now = clock::now();
            let due = self.pay(&mut stage.crowd, now).max(now);
            stage.turn(due.min(deadline).min(now + TICK), false, self)?;
        }
        Ok(())
    }
}
