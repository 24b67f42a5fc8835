//! Sends the messages of a [`Workload`] at a pace, and counts arrivals.
//!
//! This is the path of every message: it allocates nothing, reads the clock once per read of a socket, and
//! answers the messages of one read with one write.

use std::{
    collections::{HashMap, VecDeque},
    mem,
};

use super::{
    encoder::MessageEncoder,
    meter::Meter,
    runner::Runner,
    schedule::Schedule,
    workload::{Arrival, Workload},
};
use crate::{
    clock::{self, MILLISECOND, SECOND, nanoseconds},
    connections::{Connections, Handler},
    coordinator::{Barrier, Coordinator},
    outcome::Outcome,
    partition::Partition,
    plan::Pacing,
    stamp::Stamp,
};

/// How long to wait at the end for messages in flight.
pub(crate) const GRACE: u64 = 5 * SECOND;

const TICK: u64 = 20 * MILLISECOND;
/// The maximum number of messages to send before sockets are read again.
const MAX_BURST: u64 = 4096;
/// Messages of the backlog per write.
const BATCH: usize = 64;

/// Runs a workload.
pub(super) fn run<R: Workload>(
    partition: &Partition,
    coordinator: &mut dyn Coordinator,
    workload: R,
) -> anyhow::Result<Outcome> {
    let mut runner = Runner::new(partition, coordinator)?;
    let mut traffic = Traffic::new(partition, workload);
    let begin = runner.open(partition, &mut traffic)?;
    traffic.wait(&mut runner, begin)?;
    traffic.begin(&mut runner.connections, partition, begin);
    traffic.play(&mut runner)?;
    traffic.drain(&mut runner)?;
    let meter = mem::replace(&mut traffic.meter, Meter::new(0, 0));
    let elapsed = meter.end() - meter.begin();
    runner.finish(meter, elapsed, &mut traffic)
}

struct Traffic<R> {
    workload: R,
    messages: MessageEncoder,
    meter: Meter,
    senders: VecDeque<usize>,
    /// Messages in flight per sender in a closed loop; 0 in an open loop, before the load and after it.
    in_flight: u32,
    schedule: Option<Schedule>,
    /// The scheduled times of messages that wait for their sender's socket.
    backlog: HashMap<usize, VecDeque<u64>>,
    /// The position of the last stamp.
    hint: usize,
    /// The sender that answers the current read, and with how many messages.
    answer: (usize, u32),
    output: Vec<u8>,
    /// Expected and received arrivals.
    expected: u64,
    received: u64,
    /// Messages that arrived at the wrong connection, or a second time.
    misdelivered: u64,
    duplicates: u64,
}

impl<R: Workload> Handler for Traffic<R> {
    #[inline]
    fn message(&mut self, at: usize, message: &[u8], now: u64) {
        let Some(stamp) = Stamp::find(message, &mut self.hint) else {
            return;
        };
        match self.workload.on_arrival(at, stamp) {
            Arrival::Accepted(completed) => {
                self.received += 1;
                self.meter.arrived(stamp.time, now);
                self.answer = (self.workload.sender_for(at), self.answer.1 + completed);
            }
            Arrival::Misdelivered => self.misdelivered += 1,
            Arrival::Duplicate => self.duplicates += 1,
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
        let ended = self.workload.on_end(at);
        if let Some(retired) = ended.retired {
            self.senders.retain(|sender| *sender != retired);
        }
        let in_flight = self.in_flight;
        let (sender, count) = match ended.successor {
            Some(successor) => {
                self.senders.push_back(successor);
                (successor, in_flight)
            }
            None => (self.workload.sender_for(at), ended.completed),
        };
        if in_flight > 0 && count > 0 {
            let now = clock::now();
            self.send(connections, sender, (0..count).map(|_| now), now);
        }
    }
}

impl<R: Workload> Traffic<R> {
    fn new(partition: &Partition, workload: R) -> Self {
        Self {
            messages: MessageEncoder::new(partition),
            meter: Meter::new(0, 0),
            senders: workload.senders().into(),
            workload,
            in_flight: 0,
            schedule: None,
            backlog: HashMap::new(),
            hint: 0,
            answer: (0, 0),
            output: Vec::new(),
            expected: 0,
            received: 0,
            misdelivered: 0,
            duplicates: 0,
        }
    }

    fn wait(&mut self, runner: &mut Runner<'_>, until: u64) -> anyhow::Result<()> {
        while clock::now() < until {
            runner.poll_once(until, true, self)?;
        }
        Ok(())
    }

    fn begin(&mut self, connections: &mut Connections, partition: &Partition, begin: u64) {
        let counted = begin.saturating_add(nanoseconds(partition.plan.warm_up));
        let end = counted.saturating_add(nanoseconds(partition.plan.duration));
        self.meter = Meter::new(counted, end);
        match partition.plan.pace {
            // With several processes, only the first has the sender of a broadcast.
            Pacing::PerSecond(_) if self.senders.is_empty() => {}
            Pacing::PerSecond(rate) => self.schedule = Some(Schedule::new(begin, rate)),
            Pacing::InFlight(count) => {
                self.in_flight = count;
                for sender in self.senders.clone() {
                    let now = clock::now();
                    self.send(connections, sender, (0..count).map(|_| now), now);
                }
            }
        }
    }

    /// Sends and counts until the time is over or no connection is left.
    fn play(&mut self, runner: &mut Runner<'_>) -> anyhow::Result<()> {
        let (begin, end) = (self.meter.begin(), self.meter.end());
        let mut counting = false;
        loop {
            let now = clock::now();
            if now >= begin && !counting {
                counting = true;
                runner.set_measuring(true);
            }
            let due = self.send_due(&mut runner.connections, now);
            if now >= end || runner.connections.open == 0 {
                break;
            }
            runner.report_running(begin, now, self.meter.arrived);
            let next = if counting { end } else { begin };
            let until = next.min(now + TICK).min(due);
            runner.poll_once(until, self.schedule.is_some(), self)?;
        }
        if !counting {
            runner.set_measuring(true);
        }
        runner.set_measuring(false);
        self.meter.cut(clock::now());
        self.in_flight = 0;
        Ok(())
    }

    /// Sends the messages that are due; yields when the next is due. Late messages of one sender go out in
    /// one write, so that the load catches up faster than it falls behind.
    fn send_due(&mut self, connections: &mut Connections, now: u64) -> u64 {
        let limit = now.min(self.meter.end().saturating_sub(1));
        let senders = self.senders.len();
        let Some(mut schedule) = self.schedule.take_if(|_| senders > 0) else {
            return u64::MAX;
        };
        let due = schedule.due(limit, MAX_BURST.max(senders as u64));
        for ahead in (0..due).take(senders) {
            let times = (ahead..due).step_by(senders);
            let times = times.map(|ahead| schedule.time(ahead));
            self.send_next(connections, times);
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

    /// The next sender sends, or adds to its backlog if its socket is full.
    fn send_next(&mut self, connections: &mut Connections, times: impl Iterator<Item = u64>) {
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

    /// How many messages are due and not sent.
    fn unsent(&self) -> u64 {
        let backlog: usize = self.backlog.values().map(VecDeque::len).sum();
        let last = self.meter.end().saturating_sub(1);
        let due = |schedule: &Schedule| schedule.due(last, u64::MAX >> 16);
        backlog as u64 + self.schedule.as_ref().map_or(0, due)
    }

    /// Sends messages scheduled for `times`, all in one write.
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
            let sequence = self.messages.next_sequence();
            self.messages.append(&mut self.output, sender, time);
            self.expected += self.workload.on_sent(sender, sequence);
            self.meter.sent(now);
        }
        connections.send(sender, &self.output);
    }

    /// Waits for messages in flight, and counts those that do not arrive.
    fn drain(&mut self, runner: &mut Runner<'_>) -> anyhow::Result<()> {
        self.await_arrivals(runner, |traffic| {
            traffic.received >= traffic.expected && traffic.unsent() == 0
        })?;
        let issued = runner.wait_at(
            Barrier::Sent,
            u64::from(self.messages.next_sequence()),
            self,
        )?;
        self.await_arrivals(runner, |traffic| traffic.workload.outstanding(issued) == 0)?;
        let missing = self.expected.saturating_sub(self.received);
        let faults = &mut runner.connections.faults;
        faults.lost += missing + self.unsent() + self.workload.outstanding(issued);
        faults.misdelivered += self.misdelivered;
        faults.repeated += self.duplicates;
        Ok(())
    }

    fn await_arrivals(
        &mut self,
        runner: &mut Runner<'_>,
        is_done: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = clock::now() + GRACE;
        while !is_done(self) && runner.connections.open > 0 && clock::now() < deadline {
            let now = clock::now();
            let due = self.send_due(&mut runner.connections, now).max(now);
            runner.poll_once(due.min(deadline).min(now + TICK), false, self)?;
        }
        Ok(())
    }
}
