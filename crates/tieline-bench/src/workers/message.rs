//! What a worker reports, a line of JSON each.

use serde::{Deserialize, Serialize};

use crate::{coordinator::Gate, outcome::Outcome};

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WorkerMessage {
    /// So many connections are open.
    Opened(usize),
    /// It runs since so many nanoseconds, and so many messages arrived.
    Running(u64, u64),
    /// The counted time begins, or ends.
    Counting(bool),
    /// It waits at a gate, and says what that wants to know.
    At(Gate, u64),
    /// It is done.
    Done(Box<Outcome>),
    /// It cannot go on.
    Failed(String),
}
