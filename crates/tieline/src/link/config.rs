//! Configuration that a node's links and its peer server share: identity, trust, bounds.
//!
//! Owns the timeouts and HTTP/2 windows of both sides too. Must not know streams or sockets.

use std::{
    fmt,
    ops::RangeInclusive,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    answers::Answers,
    proto::{self, BATCH_OVERHEAD, Hello, REQUEST_OVERHEAD},
    reports::WriteReports,
    security::{PeerSecurity, PeerTls, SecurityError, Trust},
};

/// HTTP/2 window of a stream: bytes that a peer may send before this node reads them. With batches of
/// 256 KiB it sustains 1 GB/s over a round trip of 1 ms, and bounds the cost of a stuck receiver.
pub(super) const STREAM_WINDOW: u32 = 1 << 20;
/// HTTP/2 window of a connection: one stream of requests, and unary calls beside it.
pub(super) const CONNECTION_WINDOW: u32 = 2 << 20;
/// Bytes of one stream that HTTP/2 buffers beyond the window before it asks for the next batch.
pub(super) const SEND_BUFFER: usize = 256 << 10;
/// Interval of HTTP/2 pings. Links have pings of their own; these detect half-open connections that carry
/// no link.
pub(super) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// A connection that does not answer an HTTP/2 ping within this time is closed.
pub(super) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of a dial, of each message of a greeting, and of the first request on an accepted connection.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);

/// The cluster's clock as this node knows it, in µs. Pings carry it to the peers: not every registry keeps a
/// clock for all nodes.
pub(crate) trait PeerClock: fmt::Debug + Send + Sync {
    fn now(&self) -> u64;
    /// A peer's clock shows this.
    fn observe(&self, peer: u64);
}

/// A node's identity towards its peers, and the bounds of its links.
#[derive(Debug, Clone)]
pub(crate) struct LinkConfig {
    /// Where peers reach this node: `host:port`. `None` if it has no peer server.
    pub(crate) address: Option<Arc<str>>,
    /// Generated anew each time the process starts.
    pub(crate) process: Uuid,
    /// Notified when another process answers at an address than the registry's list of nodes says.
    pub(crate) list_is_stale: Arc<Notify>,
    /// The name of the cluster: its prefix in the registry.
    pub(crate) cluster: Arc<str>,
    /// Bytes that may wait for one peer, and the size of the largest request.
    pub(crate) queue_bytes: usize,
    /// Connections of peers that the peer server holds at once.
    pub(crate) connections: usize,
    /// Further connections, which have not shown yet that they belong to a peer.
    pub(crate) handshakes: usize,
    /// Whether the unary service accepts calls without the secret.
    pub(crate) open_unary: bool,
    /// Versions of the stream that this node supports.
    pub(crate) versions: RangeInclusive<u32>,
    /// `None` if this node gives no stamps.
    pub(crate) clock: Option<Arc<dyn PeerClock>>,
    pub(super) trust: Arc<Trust>,
    /// What this process has asked, over all its links.
    pub(crate) answers: Arc<Answers>,
    /// What this process has sent, over all its links, and its sender waits to have left.
    pub(crate) reports: Arc<WriteReports>,
    /// Links that were up and have ended.
    pub(crate) links_ended: Arc<AtomicU64>,
}

impl LinkConfig {
    /// The defaults, with peers authenticated as `security` says.
    pub(crate) fn new(
        process: Uuid,
        cluster: &str,
        security: &PeerSecurity,
    ) -> Result<Self, SecurityError> {
        Ok(Self {
            address: None,
            process,
            list_is_stale: Arc::default(),
            cluster: cluster.into(),
            queue_bytes: 8 << 20,
            connections: 1024,
            handshakes: 128,
            open_unary: security.open_unary,
            versions: proto::MIN_VERSION..=proto::VERSION,
            clock: None,
            trust: Arc::new(Trust::new(security)?),
            answers: Arc::default(),
            reports: Arc::default(),
            links_ended: Arc::default(),
        })
    }

    /// Replaces the certificates with which connections are made from now on.
    pub(crate) fn replace_tls(&self, tls: &PeerTls) -> Result<(), SecurityError> {
        self.trust.replace(tls)
    }

    /// The largest message that this node accepts: a batch of one request that fills a queue.
    pub(super) fn max_message_size(&self) -> usize {
        self.queue_bytes + REQUEST_OVERHEAD + BATCH_OVERHEAD
    }

    /// This node's hello for a stream of this epoch, with a nonce of its own.
    pub(super) fn hello(&self, epoch: u64) -> Hello {
        Hello {
            version: *self.versions.end(),
            min_version: *self.versions.start(),
            address: self.address.as_deref().unwrap_or_default().to_owned(),
            process: Bytes::copy_from_slice(self.process.as_bytes()),
            epoch,
            max_message_size: self.max_message_size() as u64,
            cluster: self.cluster.to_string(),
            nonce: nonce(),
            ..Hello::default()
        }
    }
}

/// Random bytes, so that no proof of an earlier greeting fits this one.
fn nonce() -> Bytes {
    let mut nonce = [0; 32];
    // Not from aws-lc-rs, whose generator computes for 166 ms when a thread uses it for the first time.
    getrandom::fill(&mut nonce).expect("the system has random numbers");
    Bytes::copy_from_slice(&nonce)
}
