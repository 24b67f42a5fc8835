//! The result of a measurement, and the figures derived from it.
//!
//! Must not measure anything, nor know how results are shown. Invariant: CPU time and memory are `None`,
//! rather than zero, if no process was measured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{faults::Faults, latency::Latency};
use crate::{
    format::float,
    plan::{Plan, Scenario},
};

/// The result of a measurement, all worker processes together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// The plan that was run.
    pub plan: Plan,
    /// The measured time.
    pub elapsed: Duration,
    /// Messages sent within it.
    pub sent: u64,
    /// Messages that arrived within it; a broadcast counts once per receiver. In `Storm` and `Churn`,
    /// connections that opened.
    pub arrived: u64,
    /// From sending (see [`crate::plan::Pacing`]) to arrival, in nanoseconds. In `Idle`, `Storm` and
    /// `Churn`, from the start of the connection to the end of its handshake.
    pub latency: Latency,
    /// What became of the broadcasts of `Mixed`. The other figures of messages are then of those in
    /// pairs; CPU time is of all.
    pub broadcast: Option<FlowOutcome>,
    /// How the connections opened before the load began.
    pub opening: Opening,
    /// The faults.
    pub faults: Faults,
    /// The measured processes of the server, in the order of the plan.
    pub processes: Vec<ProcessUse>,
    /// CPU time of the load within the measured time, in seconds.
    pub load_cpu: f64,
}

/// The messages of one kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlowOutcome {
    /// Messages sent within the measured time.
    pub sent: u64,
    /// Messages that arrived within it, once per receiver.
    pub arrived: u64,
    /// From sending to arrival, in nanoseconds.
    pub latency: Latency,
}

/// How the connections opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The maximum number of open connections.
    pub connections: usize,
    /// How long it took to open them.
    pub elapsed: Duration,
}

/// The resources that a process of the server used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessUse {
    /// The process id.
    pub pid: u32,
    /// The name of the program.
    pub name: String,
    /// Resident memory in bytes with one open connection.
    pub resident_first: u64,
    /// Resident memory in bytes with all connections open and idle.
    pub resident_open: u64,
    /// Resident memory in bytes at the end, with connections still open; in `Storm`, after the last
    /// round.
    pub resident_end: u64,
    /// CPU time within the measured time, in seconds.
    pub cpu: f64,
}

impl Outcome {
    /// Messages that arrived per second.
    pub fn per_second(&self) -> f64 {
        ratio(self.arrived, self.elapsed.as_secs_f64()).unwrap_or_default()
    }

    /// Broadcasts that arrived per second, once per receiver; `None` if none ran beside the messages.
    pub fn broadcasts_per_second(&self) -> Option<f64> {
        let broadcast = self.broadcast.as_ref()?;
        ratio(broadcast.arrived, self.elapsed.as_secs_f64())
    }

    /// All messages that arrived within the measured time, of both kinds in `Mixed`.
    pub fn arrivals(&self) -> u64 {
        let broadcast = self.broadcast.as_ref();
        self.arrived + broadcast.map_or(0, |flow| flow.arrived)
    }

    /// Messages sent per second; in `Churn`, connections that opened.
    pub fn sent_per_second(&self) -> f64 {
        let sent = if self.sent == 0 {
            self.arrived
        } else {
            self.sent
        };
        ratio(sent, self.elapsed.as_secs_f64()).unwrap_or_default()
    }

    /// CPU time of the server per message that arrived, in microseconds. `None` if no process was
    /// measured or no message arrived.
    pub fn cpu_micros(&self) -> Option<f64> {
        let per_process = self.processes.iter().map(|used| self.cpu_micros_of(used));
        sum(per_process)
    }

    /// Messages that arrived per second of the server's CPU time. `None` as in
    /// [`cpu_micros`](Self::cpu_micros). Where the load is busy before the server, this shows what the
    /// server could do, and the rate does not.
    pub fn per_cpu_second(&self) -> Option<f64> {
        let micros = self.cpu_micros().filter(|micros| *micros > 0.0);
        micros.map(|micros| 1e6 / micros)
    }

    /// CPU time of one process per message that arrived, in microseconds.
    pub fn cpu_micros_of(&self, used: &ProcessUse) -> Option<f64> {
        let arrivals = self.arrivals();
        let counts = self.plan.scenario != Scenario::Idle && arrivals > 0;
        counts.then(|| used.cpu * 1e6 / float(arrivals))
    }

    /// Resident memory of the server per connection, in bytes: what all connections but the first added.
    /// `None` if no process was measured or there is no second connection.
    pub fn resident_per_connection(&self) -> Option<f64> {
        let per_process = self.processes.iter().map(|used| self.resident_of(used));
        sum(per_process)
    }

    /// What the connections added to one process, per connection of all processes. Measured once they
    /// are open; in `Idle` at the end, when the memory of their handshakes is freed.
    pub fn resident_of(&self, used: &ProcessUse) -> Option<f64> {
        let more = self.opening.connections.checked_sub(1)?;
        let held = match self.plan.scenario {
            Scenario::Idle => used.resident_end,
            _ => used.resident_open,
        };
        let added = float(held) - float(used.resident_first);
        (more > 0).then(|| added / float(more as u64))
    }
}

fn ratio(number: u64, of: f64) -> Option<f64> {
    (of > 0.0).then(|| float(number) / of)
}

/// The sum, if there are figures and all are known.
fn sum(figures: impl ExactSizeIterator<Item = Option<f64>>) -> Option<f64> {
    let any = figures.len() > 0;
    figures.sum::<Option<f64>>().filter(|_| any)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::outcome;

    #[test]
    fn figures_are_per_message_and_per_added_connection() {
        let outcome = outcome();
        assert!((outcome.per_second() - 120_000.0).abs() < 1e-6);
        assert!((outcome.cpu_micros().unwrap() - 8.0).abs() < 1e-6);
        assert!((outcome.per_cpu_second().unwrap() - 125_000.0).abs() < 1e-6);
        assert!((outcome.resident_per_connection().unwrap() - 1_200.0).abs() < 1e-6);
    }

    #[test]
    fn a_figure_that_was_not_measured_is_none() {
        let mut outcome = outcome();
        outcome.opening.connections = 1;
        assert_eq!(outcome.resident_per_connection(), None);
        outcome.processes.clear();
        outcome.elapsed = Duration::ZERO;
        assert_eq!(outcome.cpu_micros(), None);
        assert_eq!(outcome.per_cpu_second(), None);
        assert!(outcome.per_second().abs() < 1e-9);
    }
}
