//! What a node's links and port have in common: who it is, what it trusts, its bounds.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    proto,
    security::{PeerSecurity, SecurityError, Trust},
};

/// HTTP/2 window of a stream: what a peer may have sent and we have not read. With batches of 256 KiB it
/// keeps 1 ms of round trip busy at 1 GB/s, and bounds what a stuck receiver costs.
pub(super) const STREAM_WINDOW: u32 = 1 << 20;
/// HTTP/2 window of a connection: a stream of posts, and unary calls beside it.
pub(super) const CONNECTION_WINDOW: u32 = 2 << 20;
/// What HTTP/2 may hold of one stream beyond the window, before it takes the next batch.
pub(super) const SEND_BUFFER: usize = 256 << 10;
/// A connection that does not answer HTTP/2 pings is half open. The links have pings of their own; these
/// find the connections that carry none.
pub(super) const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
pub(super) const KEEP_ALIVE_WITHIN: Duration = Duration::from_secs(10);
/// From the beginning of a dial to the peer's hello, and from an accept to the first request.
pub(super) const GREETING_WITHIN: Duration = Duration::from_secs(2);

/// What a post has beside its data: names and tags.
pub(super) const DATA_OVERHEAD: usize = 1024;
/// What a batch has beside its posts: a ping, tags.
const CONTROL_REQUESTS: usize = 1024;

/// Who this node is to its peers, and the bounds of its links.
#[derive(Debug, Clone)]
pub(crate) struct LinkConfig {
    /// Where peers reach this node: `host:port`. `None` if it has no port.
    pub(crate) address: Option<Arc<str>>,
    /// Made anew for each start of the process.
    pub(crate) process: Uuid,
    /// Bytes that wait for a peer, and the largest single post.
    pub(crate) queue_bytes: usize,
    /// Connections that the port holds at once.
    pub(crate) connections: usize,
    /// Whether the unary service answers without the secret.
    pub(crate) open_unary: bool,
    /// The versions of the stream that this node speaks.
    pub(crate) speaks: RangeInclusive<u32>,
    pub(super) trust: Arc<Trust>,
}

impl LinkConfig {
    /// The defaults, for a node that trusts its peers by `security`.
    pub(crate) fn new(process: Uuid, security: &PeerSecurity) -> Result<Self, SecurityError> {
        Ok(Self {
            address: None,
            process,
            queue_bytes: 8 << 20,
            connections: 1024,
            open_unary: security.open_unary,
            speaks: proto::OLDEST..=proto::VERSION,
            trust: Arc::new(Trust::new(security)?),
        })
    }

    /// The largest message that this node reads: a batch of one post that fills a queue.
    pub(super) fn largest(&self) -> usize {
        self.queue_bytes + DATA_OVERHEAD + CONTROL_REQUESTS
    }
}

/// The largest post, encoded, that a peer reads.
pub(super) fn largest_post(peer: &proto::Hello, config: &LinkConfig) -> usize {
    let largest = match usize::try_from(peer.largest) {
        Ok(0) | Err(_) => config.largest(),
        Ok(largest) => largest.min(config.largest()),
    };
    largest.saturating_sub(CONTROL_REQUESTS)
}
