//! What all scenarios share: opening connections, waiting at barriers, making the outcome.
//!
//! Owns the connections, the coordinator and the CPU time of the load. Must not know what a scenario
//! sends. Invariant: connections are served while the load waits at a barrier.

use std::time::Duration;

use mio::Events;

use super::meter::Meter;
use crate::{
    clock::{self, MILLISECOND, SECOND},
    connections::{Connections, Handler},
    coordinator::{Barrier, Coordinator},
    outcome::{Opening, Outcome},
    partition::Partition,
    plan::Plan,
};

/// How often the coordinator is polled.
const TICK: u64 = 5 * MILLISECOND;
/// How often progress is reported.
const REPORT_INTERVAL: u64 = 100 * MILLISECOND;
/// Connections are quiet when nothing has arrived for this long.
const QUIET: u64 = 100 * MILLISECOND;
/// The maximum time to wait for quiet connections.
const SETTLE: u64 = 3 * SECOND;

/// Runs a scenario in one process.
pub(super) struct Runner<'a> {
    pub(super) plan: &'a Plan,
    pub(super) connections: Connections,
    events: Events,
    coordinator: &'a mut dyn Coordinator,
    opening: Opening,
    last_report: u64,
    /// CPU time at the start of the measurement time.
    begin: u64,
    /// CPU time within the measurement time.
    used: u64,
    /// Handshakes that failed in earlier calls of `dial`.
    failed: u64,
}

impl<'a> Runner<'a> {
    pub(super) fn new(
        partition: &'a Partition,
        coordinator: &'a mut dyn Coordinator,
    ) -> anyhow::Result<Self> {
        let (connections, events) = Connections::new(partition)?;
        Ok(Self {
            plan: &partition.plan,
            connections,
            events,
            coordinator,
            opening: Opening::default(),
            last_report: 0,
            begin: 0,
            used: 0,
            failed: 0,
        })
    }

    /// Waits for events until `until`, and handles them.
    pub(super) fn poll_once(
        &mut self,
        until: u64,
        exactly: bool,
        handler: &mut impl Handler,
    ) -> anyhow::Result<()> {
        Ok(self
            .connections
            .poll_once(&mut self.events, until, exactly, handler)?)
    }

    /// Opens all connections, the very first one alone. Yields when to begin.
    pub(super) fn open(
        &mut self,
        partition: &Partition,
        handler: &mut impl Handler,
    ) -> anyhow::Result<u64> {
        let first = usize::from(partition.first == 0).min(partition.connections);
        let alone = self.dial(0..first, handler)?;
        // Do not retry a single server that does not answer: that would take another timeout.
        let silent = self.plan.urls.len() == 1 && self.connections.unanswered > 0;
        let others = match self.wait_at(Barrier::FirstOpen, silent.into(), handler)? {
            0 => self.dial(first..partition.sockets(), handler)?,
            _ => 0,
        };
        self.opening = Opening {
            connections: self.connections.most_open,
            elapsed: Duration::from_nanos(alone + others),
        };
        self.settle(handler)?;
        self.wait_at(Barrier::AllOpen, 0, handler)
    }

    /// Opens connections, as many at once as the plan allows; yields how long it took.
    pub(super) fn dial(
        &mut self,
        mut range: impl Iterator<Item = usize>,
        handler: &mut impl Handler,
    ) -> anyhow::Result<u64> {
        let began = clock::now();
        let (mut last, mut more) = (began, true);
        self.failed = self.connections.faults.not_opened;
        while more || self.connections.dialing > 0 {
            while more
                && self.connections.dialing < self.plan.dialing.max(1)
                && !self.nothing_opens()
            {
                match range.next() {
                    Some(at) => self.connections.dial(at),
                    None => more = false,
                }
            }
            more &= !self.nothing_opens();
            let open = self.connections.open;
            self.poll_once(clock::now() + TICK, false, handler)?;
            if self.connections.open > open {
                last = clock::now();
            }
            self.report_opened();
        }
        self.last_report = 0;
        self.report_opened();
        Ok(last - began)
    }

    /// No connection opens, and as many as may dial at once have failed.
    fn nothing_opens(&self) -> bool {
        let failed = self.connections.faults.not_opened - self.failed;
        self.connections.open == 0 && failed >= self.plan.dialing.max(1) as u64
    }

    /// Waits until greetings and the like have arrived.
    pub(super) fn settle(&mut self, handler: &mut impl Handler) -> anyhow::Result<()> {
        let began = clock::now();
        while self.connections.open > 0 {
            let now = clock::now();
            let quiet = self.connections.last_received().max(began) + QUIET;
            if now >= quiet || now >= began + SETTLE {
                break;
            }
            self.poll_once(quiet, false, handler)?;
        }
        Ok(())
    }

    /// Waits at a barrier, and serves connections meanwhile.
    pub(super) fn wait_at(
        &mut self,
        barrier: Barrier,
        value: u64,
        handler: &mut impl Handler,
    ) -> anyhow::Result<u64> {
        loop {
            if let Some(answer) = self.coordinator.poll_barrier(barrier, value)? {
                return Ok(answer);
            }
            self.poll_once(clock::now() + TICK, false, handler)?;
        }
    }

    fn report_opened(&mut self) {
        let now = clock::now();
        if now >= self.last_report + REPORT_INTERVAL {
            self.last_report = now;
            self.coordinator.opened(self.connections.open);
        }
    }

    /// Reports progress at most once per interval.
    pub(super) fn report_running(&mut self, begin: u64, now: u64, arrived: u64) {
        if now >= self.last_report + REPORT_INTERVAL {
            self.last_report = now;
            self.coordinator.running(now.saturating_sub(begin), arrived);
        }
    }

    /// The measurement time begins, or ends; it may have several parts.
    pub(super) fn set_measuring(&mut self, active: bool) {
        self.coordinator.set_measuring(active);
        let now = clock::cpu_time();
        if active {
            self.begin = now;
        } else {
            self.used += now - self.begin;
        }
    }

    /// Makes the outcome; `elapsed` is the measured time in nanoseconds.
    pub(super) fn finish(
        mut self,
        meter: Meter,
        elapsed: u64,
        handler: &mut impl Handler,
    ) -> anyhow::Result<Outcome> {
        self.wait_at(Barrier::End, 0, handler)?;
        Ok(Outcome {
            plan: self.plan.clone(),
            elapsed: Duration::from_nanos(elapsed),
            sent: meter.sent,
            arrived: meter.arrived,
            latency: meter.latency,
            broadcast: None,
            opening: self.opening,
            faults: self.connections.faults,
            processes: Vec::new(),
            load_cpu: Duration::from_nanos(self.used).as_secs_f64(),
        })
    }
}
