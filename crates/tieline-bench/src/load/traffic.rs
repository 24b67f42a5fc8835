//! Sends the messages of a [`Workload`], each flow of them at its pace, and counts arrivals.
//!
//! This is the path of every message: it allocates nothing, reads the clock once per read of a socket, and
//! answers the messages of one read with one write.

use std::{
    collections::{HashMap, VecDeque},
    mem,
};

use super::{
    flow::Flow,
    meter::Meter,
    reader::{Incoming, Reader},
    runner::Runner,
    workload::{Arrival, Completed, Workload},
};
use crate::{
    clock::{self, MILLISECOND, SECOND, nanoseconds},
    connections::{Connections, Handler},
    coordinator::{Barrier, Coordinator},
    outcome::{Faults, FlowOutcome, Outcome},
    partition::Partition,
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
    let mut traffic = Traffic::new(partition, workload)?;
    let begin = runner.open(partition, &mut traffic)?;
    traffic.wait(&mut runner, begin)?;
    traffic.begin(&mut runner.connections, partition, begin);
    traffic.play(&mut runner)?;
    traffic.drain(&mut runner)?;
    let take = |flow: &mut Flow| mem::replace(&mut flow.meter, Meter::new(0, 0));
    let meter = take(&mut traffic.flows[0]);
    let broadcast = traffic.flows.get_mut(1).map(take);
    let elapsed = meter.end() - meter.begin();
    let outcome = runner.finish(meter, elapsed, &mut traffic)?;
    Ok(Outcome {
        broadcast: broadcast.map(|meter| FlowOutcome {
            sent: meter.sent,
            arrived: meter.arrived,
            latency: meter.latency,
        }),
        ..outcome
    })
}

struct Traffic<R> {
    workload: R,
    /// The number of the first connection of this process.
    first: usize,
    /// One, or two if broadcasts run beside other messages: they are the second.
    flows: Vec<Flow>,
    /// The scheduled times of messages that wait for their sender's socket.
    backlog: HashMap<usize, VecDeque<u64>>,
    reader: Reader,
    output: Vec<u8>,
    /// Expected and received arrivals.
    expected: u64,
    received: u64,
    /// What arrived and should not have.
    faults: Faults,
}

impl<R: Workload> Handler for Traffic<R> {
    #[inline]
    fn message(&mut self, at: usize, message: &[u8], now: u64) {
        match self.reader.read(at, message) {
            Incoming::Stamped(stamp) => {
                if let Some(flow) = self.arrived(at, stamp) {
                    flow.meter.arrived(stamp.time, now);
                }
            }
            Incoming::Delivered(connection, stamp) => {
                // The response is what is measured; this only has to come.
                if stamp.from as usize == self.first + connection {
                    self.received += 1;
                } else {
                    self.faults.misdelivered += 1;
                }
            }
            Incoming::Other => {}
            Incoming::Unexpected(stamp, why) => {
                self.faults.unexpected(why);
                // The loop goes on, but this does not count as an arrival.
                stamp.and_then(|stamp| self.arrived(at, stamp));
            }
        }
    }

    fn read(&mut self, connections: &mut Connections, now: u64) {
        for flow in 0..self.flows.len() {
            let flow = &mut self.flows[flow];
            let Completed { sender, count } = mem::take(&mut flow.completed);
            if count > 0 && flow.in_flight > 0 {
                self.send(connections, sender, (0..count).map(|_| now), now);
            }
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
            let flow = self.flow_of(retired);
            flow.senders.retain(|sender| *sender != retired);
        }
        let mut next = ended.completed;
        if let Some(sender) = ended.successor {
            let flow = self.flow_of(sender);
            flow.senders.push_back(sender);
            let count = flow.in_flight;
            next = Completed { sender, count };
        }
        let Completed { sender, count } = next;
        if count > 0 && self.flow_of(sender).in_flight > 0 {
            let now = clock::now();
            self.send(connections, sender, (0..count).map(|_| now), now);
        }
    }
}

impl<R: Workload> Traffic<R> {
    fn new(partition: &Partition, workload: R) -> anyhow::Result<Self> {
        let plan = &partition.plan;
        let mut flows = vec![Flow::new(partition, &plan.send, plan.pace)?];
        if let Some(broadcast) = &plan.broadcast {
            flows.push(Flow::new(partition, &broadcast.send, broadcast.pace)?);
        }
        let mut traffic = Self {
            workload,
            first: partition.first,
            flows,
            backlog: HashMap::new(),
            reader: Reader::new(partition),
            output: Vec::new(),
            expected: 0,
            received: 0,
            faults: Faults::default(),
        };
        for sender in traffic.workload.senders() {
            traffic.flow_of(sender).senders.push_back(sender);
        }
        Ok(traffic)
    }

    /// A measured message has arrived; yields its flow if it is expected there.
    #[inline]
    fn arrived(&mut self, at: usize, stamp: Stamp) -> Option<&mut Flow> {
        match self.workload.on_arrival(at, stamp) {
            Arrival::Accepted(completed) => {
                self.received += 1;
                let flow = &mut self.flows[self.workload.flow(stamp.from as usize)];
                if completed.count > 0 {
                    flow.completed.sender = completed.sender;
                    flow.completed.count += completed.count;
                }
                return Some(flow);
            }
            Arrival::Misdelivered => self.faults.misdelivered += 1,
            Arrival::Duplicate => self.faults.repeated += 1,
            Arrival::Ignored => {}
        }
        None
    }

    /// The flow of the messages of a sender.
    #[inline]
    fn flow_of(&mut self, sender: usize) -> &mut Flow {
        let flow = self.workload.flow(self.first + sender);
        &mut self.flows[flow]
    }

    fn is_open_loop(&self) -> bool {
        self.flows.iter().any(|flow| flow.schedule.is_some())
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
        for flow in &mut self.flows {
            flow.begin(begin, counted, end);
        }
        for flow in 0..self.flows.len() {
            let count = self.flows[flow].in_flight;
            for sender in self.flows[flow].senders.clone() {
                let now = clock::now();
                self.send(connections, sender, (0..count).map(|_| now), now);
            }
        }
    }

    /// Sends and counts until the time is over or no connection is left.
    fn play(&mut self, runner: &mut Runner<'_>) -> anyhow::Result<()> {
        let meter = &self.flows[0].meter;
        let (begin, end) = (meter.begin(), meter.end());
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
            let arrived = self.flows.iter().map(|flow| flow.meter.arrived);
            runner.report_running(begin, now, arrived.sum());
            let next = if counting { end } else { begin };
            let until = next.min(now + TICK).min(due);
            runner.poll_once(until, self.is_open_loop(), self)?;
        }
        if !counting {
            runner.set_measuring(true);
        }
        runner.set_measuring(false);
        let now = clock::now();
        self.flows.iter_mut().for_each(|flow| flow.end(now));
        Ok(())
    }

    /// Sends the messages that are due; yields when the next is due.
    fn send_due(&mut self, connections: &mut Connections, now: u64) -> u64 {
        let flows = 0..self.flows.len();
        let next = flows.map(|flow| self.send_due_of(flow, connections, now));
        next.min().unwrap_or(u64::MAX)
    }

    /// Late messages of one sender go out in one write, so that the load catches up faster than it falls
    /// behind.
    fn send_due_of(&mut self, index: usize, connections: &mut Connections, now: u64) -> u64 {
        let flow = &mut self.flows[index];
        let end = flow.meter.end();
        let senders = flow.senders.len();
        let Some(mut schedule) = flow.schedule.take_if(|_| senders > 0) else {
            return u64::MAX;
        };
        let limit = now.min(end.saturating_sub(1));
        let due = schedule.due(limit, MAX_BURST.max(senders as u64));
        for ahead in (0..due).take(senders) {
            let times = (ahead..due).step_by(senders);
            let times = times.map(|ahead| schedule.time(ahead));
            self.send_next(index, connections, times);
        }
        schedule.take(due);
        let next = schedule.next();
        self.flows[index].schedule = Some(schedule);
        if next < end { next } else { u64::MAX }
    }

    /// The next sender sends, or adds to its backlog if its socket is full.
    fn send_next(
        &mut self,
        index: usize,
        connections: &mut Connections,
        times: impl Iterator<Item = u64>,
    ) {
        let senders = &mut self.flows[index].senders;
        let Some(sender) = senders.front().copied() else {
            return;
        };
        senders.rotate_left(1);
        if connections.is_congested(sender) || self.backlog.contains_key(&sender) {
            self.backlog.entry(sender).or_default().extend(times);
        } else {
            self.send(connections, sender, times, clock::now());
        }
    }

    /// How many messages are due and not sent.
    fn unsent(&self) -> u64 {
        let backlog: usize = self.backlog.values().map(VecDeque::len).sum();
        let flows = self.flows.iter().map(Flow::unsent);
        backlog as u64 + flows.sum::<u64>()
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
        let flow = &mut self.flows[self.workload.flow(self.first + sender)];
        for time in times {
            let stamp = flow.messages.append(&mut self.output, sender, time);
            self.expected += self.reader.on_sent(sender, stamp);
            self.expected += self.workload.on_sent(sender, stamp.sequence);
            flow.meter.sent(now);
        }
        connections.send(sender, &self.output);
    }

    /// Waits for messages in flight, and counts those that do not arrive.
    fn drain(&mut self, runner: &mut Runner<'_>) -> anyhow::Result<()> {
        self.await_arrivals(runner, |traffic| {
            traffic.received >= traffic.expected && traffic.unsent() == 0
        })?;
        // Only broadcasts are received in other processes, and they are the last flow.
        let issued = self.flows.last().map(|flow| flow.messages.next_sequence());
        let issued = u64::from(issued.unwrap_or_default());
        let issued = runner.wait_at(Barrier::Sent, issued, self)?;
        self.await_arrivals(runner, |traffic| traffic.workload.outstanding(issued) == 0)?;
        let missing = self.expected.saturating_sub(self.received);
        let faults = &mut runner.connections.faults;
        faults.lost += missing + self.unsent() + self.workload.outstanding(issued);
        faults.add(mem::take(&mut self.faults));
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
