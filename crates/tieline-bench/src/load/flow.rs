//! The messages of one kind: what is sent, by whom, when, and how many arrived.
//!
//! Owns the state of one flow of messages. Must not know sockets or what an arrival means: `traffic` and
//! the workload do.

use std::collections::VecDeque;

use super::{encoder::MessageEncoder, meter::Meter, schedule::Schedule, workload::Completed};
use crate::{partition::Partition, plan::Pacing};

/// The messages of one kind.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) messages: MessageEncoder,
    pub(super) meter: Meter,
    pub(super) senders: VecDeque<usize>,
    /// Messages in flight per sender in a closed loop; 0 in an open loop, before the load and after it.
    pub(super) in_flight: u32,
    pub(super) schedule: Option<Schedule>,
    /// What the current read completed, to be answered at its end.
    pub(super) completed: Completed,
    pace: Pacing,
}

impl Flow {
    pub(super) fn new(partition: &Partition, send: &str, pace: Pacing) -> anyhow::Result<Self> {
        Ok(Self {
            messages: MessageEncoder::new(partition, send)?,
            meter: Meter::new(0, 0),
            senders: VecDeque::new(),
            in_flight: 0,
            schedule: None,
            completed: Completed::default(),
            pace,
        })
    }

    /// Begins at `begin`, and counts from `counted` to `end`.
    pub(super) fn begin(&mut self, begin: u64, counted: u64, end: u64) {
        self.meter = Meter::new(counted, end);
        match self.pace {
            // With several processes, only the first has the sender of a broadcast.
            Pacing::PerSecond(_) if self.senders.is_empty() => {}
            Pacing::PerSecond(rate) => self.schedule = Some(Schedule::new(begin, rate)),
            Pacing::InFlight(count) => self.in_flight = count,
        }
    }

    /// Sends nothing more in a closed loop, and counts nothing that happens after `now`.
    pub(super) fn end(&mut self, now: u64) {
        self.meter.cut(now);
        self.in_flight = 0;
    }

    /// How many messages are due until the end, and not sent.
    pub(super) fn unsent(&self) -> u64 {
        let last = self.meter.end().saturating_sub(1);
        let due = |schedule: &Schedule| schedule.due(last, u64::MAX >> 16);
        self.schedule.as_ref().map_or(0, due)
    }
}
