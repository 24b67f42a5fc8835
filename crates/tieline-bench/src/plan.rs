//! What a measurement does: the scenario with all of its numbers.
//!
//! A plan travels to worker processes as JSON, so it holds no sockets and no borrowed text.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the connections do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Nothing, once they are open.
    Idle,
    /// Each sends, and waits for the same to come back.
    Echo,
    /// The first sends, and all receive it.
    Broadcast,
    /// They stand in pairs: the first of each sends, the second receives.
    Direct,
    /// All are dropped at once, and made again as fast as the server takes them.
    Storm,
    /// Each is closed as soon as it is open, and made again.
    Churn,
}

/// When the next message is sent (in `Churn`: the next connection opened).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// When an earlier one has arrived, so that this many are under way for each sender.
    InFlight(u32),
    /// At a steady rate for all senders together, whether earlier ones have arrived or not. Latency
    /// counts from the moment at which the schedule wanted the message to leave, so that a stall of
    /// the server is charged with every message that it delayed ("coordinated omission").
    PerSecond(f64),
}

/// A measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What the connections do.
    pub scenario: Scenario,
    /// Where they connect, as templates: connection `n` takes number `n` modulo how many there are.
    pub urls: Vec<String>,
    /// How many connections there are in all.
    pub connections: usize,
    /// When the next message is sent.
    pub pace: Pace,
    /// The message that is measured, as a template.
    pub send: String,
    /// What each connection sends once when it is open, as templates.
    pub hello: Vec<String>,
    /// Length of `{payload}`, in bytes.
    pub size: usize,
    /// Messages are sent as binary ones.
    pub binary: bool,
    /// The subprotocol that is asked for.
    pub subprotocol: Option<String>,
    /// More fields of the handshake, as `Name: value`.
    pub headers: Vec<String>,
    /// Certificates are not checked.
    pub insecure: bool,
    /// Not counted, at the beginning.
    pub warm_up: Duration,
    /// Counted, after that.
    pub duration: Duration,
    /// How often a storm breaks loose.
    pub rounds: u32,
    /// Handshakes under way at once, in all.
    pub dialing: usize,
    /// Processes that share the connections; 0 is as many as the descriptor limit needs.
    pub processes: usize,
    /// The processor that the load runs on; none is any.
    pub cpu: Option<usize>,
    /// Processes of the server whose memory and processor time are measured.
    pub pids: Vec<u32>,
}
