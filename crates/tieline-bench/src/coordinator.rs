//! How a load synchronizes with the process that runs it.
//!
//! Owns the barriers. Must not know whether the load runs in the same process: `run` and `workers`
//! implement the trait. Invariant: a load reaches barriers in the order of [`Barrier`], of which it may
//! skip some; only `Round` may repeat.

use serde::{Deserialize, Serialize};

/// A point where the processes of a load wait for each other, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Barrier {
    /// Only the first connection of all is open. A process passes 1 if the server does not answer, else
    /// 0, and gets the maximum.
    FirstOpen,
    /// All connections are open. A process gets the time at which to begin, by the clock.
    AllOpen,
    /// The next round of a storm may begin.
    Round,
    /// All messages are sent. A process passes their number, and gets the maximum.
    Sent,
    /// The load is over, and connections are still open.
    End,
}

/// The process that runs a load.
pub(crate) trait Coordinator {
    /// This many connections are open.
    fn opened(&mut self, connections: usize);

    /// The load has run for `elapsed` nanoseconds.
    fn running(&mut self, elapsed: u64, arrived: u64);

    /// The measurement time begins, or ends.
    fn set_measuring(&mut self, active: bool);

    /// Waits at a barrier with a value; call it again until it yields the result.
    fn poll_barrier(&mut self, barrier: Barrier, value: u64) -> anyhow::Result<Option<u64>>;
}
