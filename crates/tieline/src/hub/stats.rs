//! What a hub counts.
//!
//! Owns the public form of the counts. Knows nobody who counts.

/// The load of a hub, as of now; see [`Hub::stats`](crate::Hub::stats). Counts begin with the hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// Connections that were accepted and have not ended, closing ones included.
    pub connections: usize,
    /// Bytes that wait for clients whose sockets did not take them: each frame once, in however many
    /// outboxes it waits, with 128 bytes besides its payload.
    pub waiting_bytes: usize,
    /// The bound of `waiting_bytes`: [`Config::max_outbox_memory`](crate::Config::max_outbox_memory), or its
    /// default.
    pub max_waiting_bytes: usize,
    /// Clients closed with code 1013 because their own outbox was full, or because they stopped reading.
    pub slow_consumers: u64,
    /// Clients closed with code 1013 because `max_waiting_bytes` was exceeded and most waited for them.
    pub shed: u64,
}
