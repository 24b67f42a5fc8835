//! The run of a scenario in one process: what all scenarios have in common. Connections are opened, gates
//! are passed, an outcome is made.

use std::time::Duration;

use mio::Events;

use super::meter::Meter;
use crate::{
    clock::{self, MILLISECOND, SECOND},
    connections::{Connections, Handler},
    coordinator::{Coordinator, Gate},
    outcome::{Opening, Outcome},
    partition::Share,
    plan::Plan,
};

/// How often a coordinator is asked and told.
const TICK: u64 = 5 * MILLISECOND;
const TELL: u64 = 100 * MILLISECOND;
/// Connections have settled when nothing has come for so long.
const QUIET: u64 = 100 * MILLISECOND;
/// They are not waited for beyond that.
const SETTLE: u64 = 3 * SECOND;

/// Runs the scenarios of one process.
pub(super) struct Runner<'a> {
    pub(super) plan: &'a Plan,
    pub(super) connections: Connections,
    events: Events,
    coordinator: &'a mut dyn Coordinator,
    opening: Opening,
    told: u64,
    /// Processor time at the beginning of the counted time.
    begin: u64,
    /// Processor time within the counted time.
    used: u64,
    /// Handshakes that had failed before those that are under way.
    failed: u64,
}

impl<'a> Runner<'a> {
    pub(super) fn new(
        share: &'a Share,
        coordinator: &'a mut dyn Coordinator,
    ) -> anyhow::Result<Self> {
        let (connections, events) = Connections::new(share)?;
        Ok(Self {
            plan: &share.plan,
            connections,
            events,
            coordinator,
            opening: Opening::default(),
            told: 0,
            begin: 0,
            used: 0,
            failed: 0,
        })
    }

    /// Waits for something to happen, but not beyond `until`.
    pub(super) fn turn(
        &mut self,
        until: u64,
        exactly: bool,
        handler: &mut impl Handler,
    ) -> anyhow::Result<()> {
        Ok(self
            .connections
            .turn(&mut self.events, until, exactly, handler)?)
    }

    /// Opens all connections of the share, the first of all alone. Says when to begin.
    pub(super) fn open(
        &mut self,
        share: &Share,
        handler: &mut impl Handler,
    ) -> anyhow::Result<u64> {
        let first = usize::from(share.first == 0).min(share.connections);
        let alone = self.dial(0..first, handler)?;
        // A single server that does not answer is not asked again: it would take as long once more.
        let silent = self.plan.urls.len() == 1 && self.connections.unanswered > 0;
        let others = match self.pass(Gate::First, silent.into(), handler)? {
            0 => self.dial(first..share.connections, handler)?,
            _ => 0,
        };
        self.opening = Opening {
            connections: self.connections.most_open,
            elapsed: Duration::from_nanos(alone + others),
        };
        self.settle(handler)?;
        self.pass(Gate::Open, 0, handler)
    }

    /// Opens connections, as many at once as the plan wants; says how long that took.
    pub(super) fn dial(
        &mut self,
        mut range: impl Iterator<Item = usize>,
        handler: &mut impl Handler,
    ) -> anyhow::Result<u64> {
        let began = clock::now();
        let (mut last, mut more) = (began, true);
        self.failed = self.connections.faults.not_opened;
        while more || self.connections.dialing > 0 {
            while more && self.connections.dialing < self.plan.dialing.max(1) && !self.is_hopeless()
            {
                match range.next() {
                    Some(at) => self.connections.dial(at),
                    None => more = false,
                }
            }
            more &= !self.is_hopeless();
            let open = self.connections.open;
            self.turn(clock::now() + TICK, false, handler)?;
            if self.connections.open > open {
                last = clock::now();
            }
            self.tell_opened();
        }
        self.told = 0;
        self.tell_opened();
        Ok(last - began)
    }

    /// No connection opens at all.
    fn is_hopeless(&self) -> bool {
        let failed = self.connections.faults.not_opened - self.failed;
        self.connections.open == 0 && failed >= self.plan.dialing.max(1) as u64
    }

    /// Lets welcomes and the like come in.
    pub(super) fn settle(&mut self, handler: &mut impl Handler) -> anyhow::Result<()> {
        let began = clock::now();
        while self.connections.open > 0 {
            let now = clock::now();
            let quiet = self.connections.stirred().max(began) + QUIET;
            if now >= quiet || now >= began + SETTLE {
                break;
            }
            self.turn(quiet, false, handler)?;
        }
        Ok(())
    }

    /// Waits at a gate; connections are served meanwhile.
    pub(super) fn pass(
        &mut self,
        gate: Gate,
        own: u64,
        handler: &mut impl Handler,
    ) -> anyhow::Result<u64> {
        loop {
            if let Some(answer) = self.coordinator.pass(gate, own)? {
                return Ok(answer);
            }
            self.turn(clock::now() + TICK, false, handler)?;
        }
    }

    fn tell_opened(&mut self) {
        let now = clock::now();
        if now >= self.told + TELL {
            self.told = now;
            self.coordinator.opened(self.connections.open);
        }
    }

    /// Tells how it goes, now and then.
    pub(super) fn tell_running(&mut self, begin: u64, now: u64, arrived: u64) {
        if now >= self.told + TELL {
            self.told = now;
            self.coordinator.running(now.saturating_sub(begin), arrived);
        }
    }

    /// The counted time begins, or ends; it may have several parts.
    pub(super) fn counting(&mut self, begins: bool) {
        self.coordinator.counting(begins);
        let now = clock::processor();
        if begins {
            self.begin = now;
        } else {
            self.used += now - self.begin;
        }
    }

    /// What was found; `elapsed` is the counted time in nanoseconds.
    pub(super) fn finish(
        mut self,
        meter: Meter,
        elapsed: u64,
        handler: &mut impl Handler,
    ) -> anyhow::Result<Outcome> {
        self.pass(Gate::End, 0, handler)?;
        Ok(Outcome {
            plan: self.plan.clone(),
            elapsed: Duration::from_nanos(elapsed),
            sent: meter.sent,
            arrived: meter.arrived,
            latency: meter.latency,
            opening: self.opening,
            faults: self.connections.faults,
            processes: Vec::new(),
            load_cpu: Duration::from_nanos(self.used).as_secs_f64(),
        })
    }
}
