//! What nodes say of themselves.
//!
//! Owns the form, which is that of the admin API too. Must not know how it is found out.

use serde::{Deserialize, Serialize};

/// How a node is doing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NodeReport {
    pub(crate) address: String,
    /// Whether it is the node that was asked by the operator.
    #[serde(default)]
    pub(crate) is_self: bool,
    pub(crate) version: String,
    /// Seconds.
    pub(crate) uptime: f64,
    pub(crate) phase: String,
    pub(crate) connections: u64,
    pub(crate) users: u64,
    pub(crate) groups: u64,
    pub(crate) messages_in_per_second: f64,
    pub(crate) messages_out_per_second: f64,
    /// What waits for clients.
    pub(crate) outbox_bytes: u64,
    pub(crate) largest_outbox: u64,
    /// Messages that wait in the queues of the shards.
    pub(crate) queue_depth: u64,
    /// `up` or `down`, as it answers this node; `None` without a cluster.
    #[serde(default)]
    pub(crate) registry: Option<String>,
    pub(crate) links: Vec<LinkReport>,
}

/// The link to another node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LinkReport {
    pub(crate) address: String,
    /// As [`up_or_down`] has it.
    pub(crate) state: String,
    pub(crate) queued_bytes: u64,
    pub(crate) round_trip_ms: Option<f64>,
}

/// How others are, as a word.
pub(crate) fn up_or_down(is_up: bool) -> String {
    if is_up { "up" } else { "down" }.to_owned()
}

/// An event handler, as one node sees it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandlerReport {
    /// `*` for those of all hubs without handlers of their own.
    pub(crate) hub: String,
    /// Without a query.
    pub(crate) url: String,
    #[serde(flatten)]
    pub(crate) endpoint: EndpointReport,
}

/// What became of the requests to an endpoint since the node has it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EndpointReport {
    /// `idle` before the first request has ended, then `answering` or `failing`, as the last one.
    pub(crate) state: String,
    /// `closed`, `open` or `probing`.
    pub(crate) breaker: String,
    /// Requests that have not ended: under way, or waiting for others or for a retry.
    pub(crate) queued: u64,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) last_error: Option<String>,
    /// Seconds since 1970.
    pub(crate) last_error_at: Option<u64>,
}
