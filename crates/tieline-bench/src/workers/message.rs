//! The messages that a worker writes to standard output.

use serde::{Deserialize, Serialize};

use crate::{coordinator::Barrier, outcome::Outcome};

/// A message of a worker, one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WorkerMessage {
    /// This many connections are open.
    Opened(usize),
    /// The load has run for this many nanoseconds, and this many messages have arrived.
    Running(u64, u64),
    /// The measurement time begins, or ends.
    Measuring(bool),
    /// The worker waits at a barrier, with a value.
    At(Barrier, u64),
    /// The worker is done.
    Done(Box<Outcome>),
    /// The worker has failed.
    Failed(String),
}
