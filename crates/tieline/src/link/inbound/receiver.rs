//! The answerer's side: streams that peers open, and the unary service of go-websocket.
//!
//! Owns what a [`Receiver`] is, the streams ([`stream`]), the fence between streams of one process
//! ([`guard`]) and the services ([`service`], [`unary`]). Must not know what posts mean.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use uuid::Uuid;

use crate::link::{
    interest::Interest,
    proto::{OutcomeCode, RequestKind},
};
use crate::{Delivery, Reached};

/// A future whose type is forgotten.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A peer that has opened a stream to this node.
#[derive(Debug, Clone)]
pub(crate) struct PeerInfo {
    /// Where it is reached; `None` if it has no port.
    pub(crate) address: Option<Arc<str>>,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the log, by Debug"))]
    pub(crate) process: Uuid,
    /// The version of the stream that both speak.
    pub(crate) version: u32,
}

/// What an answerer decides of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Response {
    /// For a post to one client.
    Code(OutcomeCode),
    /// For a post to many.
    Reached(Reached),
    /// For a question.
    Listing { names: Vec<Bytes>, more: bool },
}

/// An answer, now or later.
pub(crate) enum MaybeReady {
    /// Goes back in the order of the posts.
    Ready(Response),
    /// Goes back when it is decided. Its stream polls it, within no turn.
    Later(BoxFuture<Response>),
}

/// What receives posts.
pub(crate) trait Receiver: Send + Sync + 'static {
    /// A post of a peer, in order, within a turn. Must not wait: what takes time is a [`MaybeReady::Later`]. A
    /// marker (a question for nothing) is answered by the stream itself.
    fn receive(&self, from: &PeerInfo, request: RequestKind) -> MaybeReady;

    /// A peer has opened a stream to this node.
    fn greeted(&self, peer: &PeerInfo);

    /// What peers are told that this node has.
    fn interest(&self) -> &Arc<Interest>;

    /// Sends to one client of this node.
    fn unary_emit(&self, id: &str, data: Bytes) -> BoxFuture<Delivery>;

    /// Whether a client is on this node.
    fn unary_online(&self, id: &str) -> bool;

    /// Sends to all clients of this node.
    fn unary_broadcast(&self, data: Bytes) -> BoxFuture<Reached>;
}
