//! The plan of a measurement: a scenario and its parameters.
//!
//! Only data. A plan is sent to worker processes as JSON, so it holds no sockets and no borrowed text.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{affinity::CpuList, url::Scheme};

/// The kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Connections that send nothing.
    Idle,
    /// Every connection sends and waits for the echo.
    Echo,
    /// The first connection sends, and all receive.
    Broadcast,
    /// In pairs, the first connection sends and the second receives.
    Direct,
    /// The first connection broadcasts while the others, from the third on, send in pairs as in
    /// `Direct`.
    Mixed,
    /// Every connection sends to its room, and all members of the room receive.
    Rooms,
    /// All connections are dropped at once, and reopened as fast as the server accepts them.
    Storm,
    /// Each connection is closed as soon as it is open, and reopened.
    Churn,
    /// Every connection sends requests over HTTP/1.1 and waits for the responses.
    Rest,
}

/// The message format of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Wire {
    /// Messages as the templates have them, and nothing before or around them.
    #[default]
    Bare,
    /// `json.webpubsub.azure.v1`: a connection is open when the server has said that it is connected, and has
    /// acknowledged what it was sent to open.
    Json,
    /// The protocol of Pusher Channels: `on_open` are the channels of a connection, which is open when all
    /// subscriptions are confirmed. Clients get no copies of their own events.
    Pusher,
}

/// The requests of `Rest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestPlan {
    /// The content type of the body.
    pub content_type: String,
    /// The expected status.
    pub status: u16,
    /// URL template of a WebSocket for each connection, which receives what the requests of the connection
    /// send, in the plan's wire. Without it, nothing receives.
    pub receiver_url: Option<String>,
}

/// When the next message is sent, or in `Churn` the next connection opened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pacing {
    /// Closed loop: when an earlier one has arrived, so that this many are in flight per sender.
    InFlight(u32),
    /// Open loop: at a constant rate for all senders together, whether or not earlier ones have arrived.
    /// Latency counts from the scheduled time, so that a stall of the server shows in every message
    /// that it delays. This avoids coordinated omission.
    PerSecond(f64),
}

/// The messages of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowPlan {
    /// When the next message is sent.
    pub pace: Pacing,
    /// Template of the message.
    pub send: String,
}

/// A measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The kind of load.
    pub scenario: Scenario,
    /// URL templates; connection `n` uses the URL at index `n` modulo their number.
    pub urls: Vec<String>,
    /// Number of connections.
    pub connections: usize,
    /// When the next message is sent.
    pub pace: Pacing,
    /// Template of the measured message.
    pub send: String,
    /// Templates of the messages that each connection sends once when it opens.
    pub on_open: Vec<String>,
    /// Length of `{payload}` in bytes.
    pub size: usize,
    /// Send binary messages.
    pub binary: bool,
    /// The message format of the server.
    pub wire: Wire,
    /// The file with the key that signs a token for each connection, or with the secret of an app. The plan has the path only: plans are
    /// shown.
    pub token_key: Option<PathBuf>,
    /// The requests of `Rest`; `None` in other scenarios.
    pub request: Option<RequestPlan>,
    /// The subprotocol to request.
    pub subprotocol: Option<String>,
    /// Headers to add to the handshake, as `Name: value`.
    pub headers: Vec<String>,
    /// Do not verify TLS certificates.
    pub insecure: bool,
    /// Warm-up time, which is not measured.
    pub warm_up: Duration,
    /// Measurement time, after the warm-up.
    pub duration: Duration,
    /// Number of rounds of a storm.
    pub rounds: u32,
    /// Members of a room, in `Rooms`: connections 0 to `room` - 1 are in the first one, and so on. The
    /// last room has the rest.
    pub room: usize,
    /// How many members of each room send, in `Rooms`.
    pub senders: usize,
    /// The broadcasts of `Mixed`; `None` in other scenarios.
    pub broadcast: Option<FlowPlan>,
    /// Maximum number of concurrent handshakes, in all processes together.
    pub dialing: usize,
    /// Number of processes to spread the connections over; 0 means as few as the descriptor limit
    /// allows.
    pub processes: usize,
    /// The CPUs to run the load on, the same for each process; `None` means any.
    pub cpu: Option<CpuList>,
    /// Processes of the server, to measure their memory and CPU time.
    pub pids: Vec<u32>,
}

impl Plan {
    /// The URL template of the receivers of requests, if there are any.
    pub(crate) fn receiver_url(&self) -> Option<&String> {
        self.request.as_ref()?.receiver_url.as_ref()
    }

    /// What the URLs lead to.
    pub(crate) fn scheme(&self) -> Scheme {
        match self.request {
            Some(_) => Scheme::Http,
            None => Scheme::WebSocket,
        }
    }
}
