//! What the inbound side needs from the rest of the node: a receiver of requests.
//!
//! Owns the contract between streams and the node: what is called in order, and which responses may come
//! later. Must not know gRPC or what requests mean.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use uuid::Uuid;

use crate::{
    ask::AskError,
    counts::Counts,
    delivery::{Delivery, Reached},
    link::{
        interest::Interest,
        proto::{OutcomeCode, RequestKind},
    },
    written::WriteOutcome,
};

/// A boxed future.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A peer that has opened a stream to this node.
#[derive(Debug, Clone)]
pub(crate) struct PeerInfo {
    /// Where peers reach it; `None` if it has no peer server.
    pub(crate) address: Option<Arc<str>>,
    pub(crate) process: Uuid,
    /// The version of the stream that both sides support.
    pub(crate) version: u32,
    /// Whether it expected this process, as only a reader of this cluster's registry can.
    pub(crate) knows_this_process: bool,
}

/// The response to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Response {
    /// To a request about one client.
    Code(OutcomeCode),
    /// To a message to many clients.
    Reached(Reached),
    /// To a query.
    Listing { names: Vec<Bytes>, more: bool },
    /// To a message to many ids, in their order: an [`OutcomeCode`] each.
    Codes(Vec<u8>),
    /// To a query that counts.
    Counts(Counts),
    /// To the ask with this number.
    Answer {
        ask: u64,
        answer: Result<Bytes, AskError>,
    },
    /// What became of the message with this number.
    Report { number: u64, outcome: WriteOutcome },
}

/// A response that is available now or later.
pub(crate) enum MaybeReady {
    Ready(Response),
    Later(BoxFuture<Response>),
    /// It is known later which of the three it is.
    Undecided(BoxFuture<MaybeReady>),
    /// The request was received, which goes back at once; the answer takes its time, and holds up nothing else.
    Begun(BoxFuture<Response>),
    /// A response, and if it is that a message was delivered, a report that follows when the message has left.
    Tracked {
        response: Box<MaybeReady>,
        /// The number of the report.
        number: u64,
        outcome: BoxFuture<WriteOutcome>,
    },
}

/// Receives the requests of peers.
pub(crate) trait Receiver: Send + Sync + 'static {
    /// Handles one request about names of a namespace; the requests of a peer come in order. Must not block.
    ///
    /// What is [`Ready`](MaybeReady::Ready) goes back in the order of the requests. What comes
    /// [`Later`](MaybeReady::Later) is polled by the stream, outside of [`receive_batch`](Self::receive_batch),
    /// and goes back when it is ready. Requests of unknown kinds do not get here: the stream refuses them.
    fn receive(&self, from: &PeerInfo, namespace: &str, request: RequestKind) -> MaybeReady;

    /// Runs `receive_all`, which calls [`receive`](Self::receive) for each request of one batch. The receiver
    /// may hold back its effects meanwhile, so that they share a write, but must release them before this
    /// returns: a newer stream may start right after.
    fn receive_batch(&self, receive_all: &mut dyn FnMut()) {
        receive_all();
    }

    /// A peer has opened a stream to this node.
    fn stream_opened(&self, peer: &PeerInfo);

    /// The interest of this node, to be sent to its peers.
    fn interest(&self) -> &Arc<Interest>;

    /// Sends to one client of this node.
    fn unary_emit(&self, id: &str, data: Bytes) -> BoxFuture<Delivery>;

    /// Whether a client is connected to this node.
    fn unary_online(&self, id: &str) -> bool;

    /// Sends to all clients of this node.
    fn unary_broadcast(&self, data: Bytes) -> BoxFuture<Reached>;
}
