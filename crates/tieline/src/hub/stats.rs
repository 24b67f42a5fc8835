//! What a hub counts.
//!
//! Owns the public form of the counts. Knows nobody who counts.

use std::time::Duration;

use crate::delivery::Reached;

/// The load of a hub, as of now; see [`Hub::stats`](crate::Hub::stats). Counts begin with the hub and only grow;
/// they are not taken at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// Connections that were accepted and have not ended, closing ones included.
    pub connections: usize,
    /// How many there may be; further clients are refused with 503.
    pub max_connections: usize,
    /// Connections whose upgrade was ever completed.
    pub opened: u64,
    /// Those of them that have ended, by their reason.
    pub ended: Ends,
    /// What clients have sent and received.
    pub traffic: Traffic,
    /// What happened to messages, for each connection that they were for. `offline` are messages to ids that are
    /// not here and to connections that were closing; not those to connections that had ended when their turn in
    /// a queue came.
    pub deliveries: Reached,
    /// Messages that wait in the queues of the shards, most of them to many.
    pub queued: usize,
    /// Their bytes; the bound for each shard is
    /// [`Config::broadcast_queue_bytes`](crate::Config::broadcast_queue_bytes).
    pub queued_bytes: usize,
    /// How long the oldest of them has waited.
    pub queue_age: Duration,
    /// How long messages that went through these queues took from the call until the last of their receivers in a
    /// shard had them, in its socket or its outbox; once for each shard. Those that are delivered together count with
    /// the time of the oldest. What a call writes itself, without a queue, is not among them.
    pub queue_times: Times,
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

/// How long something took, as counts in buckets.
///
/// ```
/// use tieline::Times;
///
/// /// How many took no longer than 5 ms.
/// fn fast(times: &Times) -> u64 {
///     let within = Times::BOUNDS.iter().take_while(|bound| bound.as_millis() <= 5).count();
///     times.counts[..within].iter().sum()
/// }
/// # assert_eq!(fast(&Times::default()), 0);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Times {
    /// How many took longer than the bound before and no longer than that of their place; the last one counts those
    /// beyond all bounds.
    pub counts: [u64; Self::BOUNDS.len() + 1],
    /// The times of all together.
    pub sum: Duration,
}

impl Times {
    /// The upper bounds of the buckets.
    pub const BOUNDS: [Duration; 13] = [
        Duration::from_micros(50),
        Duration::from_micros(100),
        Duration::from_micros(250),
        Duration::from_micros(500),
        Duration::from_millis(1),
        Duration::from_micros(2500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_secs(1),
    ];

    /// How many there were.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Connections that have ended, by [`CloseReason`](crate::CloseReason).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the variants of `CloseReason` say it")]
pub struct Ends {
    pub client: u64,
    pub application: u64,
    pub replaced: u64,
    pub drain: u64,
    pub slow_consumer: u64,
    pub silent: u64,
    pub unfinished: u64,
    pub too_fast: u64,
    pub protocol: u64,
    pub panic: u64,
    pub lost: u64,
}

impl Ends {
    /// All of them.
    pub fn total(&self) -> u64 {
        let Self {
            client,
            application,
            replaced,
            drain,
            slow_consumer,
            silent,
            unfinished,
            too_fast,
            protocol,
            panic,
            lost,
        } = self;
        client
            + application
            + replaced
            + drain
            + slow_consumer
            + silent
            + unfinished
            + too_fast
            + protocol
            + panic
            + lost
    }
}

/// What clients have sent and received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Complete messages from clients, those that a limit refused included. Counted when what was read together
    /// has been handled.
    pub messages_in: u64,
    /// Bytes from clients, as they arrived: with the headers of frames, compressed, and with TLS decrypted.
    pub bytes_in: u64,
    /// Frames that have left for clients, pings, pongs and closes included.
    pub frames_out: u64,
    /// Bytes that have left for clients, as above.
    pub bytes_out: u64,
}
