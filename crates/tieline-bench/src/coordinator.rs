//! What a load asks of whoever runs it: when to go on, and to note what it does.

use serde::{Deserialize, Serialize};

/// Where the processes of a load wait for each other, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Gate {
    /// The first connection of all is open, and no other. Each says whether it met a server that does
    /// not answer, 1 or 0; the answer is the most.
    First,
    /// All connections are open. The answer is when to begin, by the clock.
    Open,
    /// Another round of a storm may break loose.
    Round,
    /// Everything was sent. Each says how much, the answer is the most.
    Sent,
    /// It is over, and connections are still open.
    End,
}

/// Who runs a load.
pub(crate) trait Coordinator {
    /// So many connections are open.
    fn opened(&mut self, connections: usize);

    /// It runs since `elapsed` nanoseconds.
    fn running(&mut self, elapsed: u64, arrived: u64);

    /// The counted time begins, or ends.
    fn counting(&mut self, begins: bool);

    /// Asks to pass a gate, with what that gate wants to know; is asked again and again until it
    /// answers.
    fn pass(&mut self, gate: Gate, own: u64) -> anyhow::Result<Option<u64>>;
}
