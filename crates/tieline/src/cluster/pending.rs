//! Messages in flight: what waits for the outcome of a request to a peer.
//!
//! Owns the types that contain each other: a pending reply holds its unicast, which remembers the route
//! it took, which is a peer, whose link holds pending replies. Must not know how a client is found:
//! that is [`OutcomeHandler`]'s. Invariant: a unicast is in one place at a time, in a link or in the
//! ordering queue, so that it is sent once and finished once.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tieline_registry::{Entry, Owner, Stamp};
use tokio::{sync::oneshot, time::Instant};
use uuid::Uuid;

use super::{
    ordering::{ClientMessage, Message, SenderId},
    outcome::{AskSender, OpResult, ResultSender, reached},
    summary::SummaryBuilder,
};
use crate::{
    hub::{ClientOp, RunningRequest},
    link::{self, Completion, Link, Outcome, proto::OutcomeCode},
};

/// What waits for the outcome of a request.
pub(super) enum PendingReply {
    Unicast(Arc<dyn OutcomeHandler>, Box<Unicast>),
    /// One node's part of a message to many ids.
    Many(Box<ManyUnicasts>),
    /// One node's part of a multicast.
    Part(Arc<SummaryBuilder>, Arc<str>),
    Query(oneshot::Sender<Outcome>),
    /// An ask to the node of this address.
    Ask(Box<(AskSender, Arc<str>)>),
    Discard,
}

/// Acts on outcomes that may send a message on.
pub(super) trait OutcomeHandler: Send + Sync + 'static {
    fn on_outcome(self: Arc<Self>, unicast: Box<Unicast>, outcome: &Outcome);
}

impl Completion for PendingReply {
    fn complete(self, outcome: Outcome) {
        match self {
            Self::Unicast(handler, unicast) => handler.on_outcome(unicast, &outcome),
            Self::Many(many) => many.complete(&outcome),
            Self::Part(builder, node) => builder.add_part(Some(node), reached(&outcome)),
            // The caller may have stopped waiting.
            Self::Query(sender) => drop(sender.send(outcome)),
            Self::Ask(ask) => ask.0.send(OpResult::from(&outcome), Some(&ask.1)),
            Self::Discard => {}
        }
    }
}

/// Unicasts that one request has sent.
#[expect(clippy::vec_box, reason = "each goes on in its box")]
pub(super) struct ManyUnicasts {
    handler: Arc<dyn OutcomeHandler>,
    unicasts: Vec<Box<Unicast>>,
}

impl ManyUnicasts {
    #[expect(clippy::vec_box, reason = "each goes on in its box")]
    pub(super) fn new(handler: Arc<dyn OutcomeHandler>, unicasts: Vec<Box<Unicast>>) -> Self {
        Self { handler, unicasts }
    }

    /// Each gets its own outcome, or all of them that of the request.
    fn complete(self, outcome: &Outcome) {
        let mut codes = match outcome {
            Outcome::Codes(codes) => Some(codes.iter()),
            _ => None,
        };
        for unicast in self.unicasts {
            let handler = Arc::clone(&self.handler);
            match &mut codes {
                Some(codes) => {
                    let code = codes
                        .next()
                        .map_or(OutcomeCode::Unknown, |code| link::code(*code));
                    handler.on_outcome(unicast, &Outcome::Code(code));
                }
                None => handler.on_outcome(unicast, outcome),
            }
        }
    }
}

/// An operation on one client, who gets its result, and where it was sent so far.
#[derive(Debug)]
pub(super) struct Unicast {
    pub(super) id: Arc<str>,
    /// The hash of the id.
    pub(super) hash: u64,
    pub(super) op: ClientOp,
    pub(super) reply: ResultSender,
    pub(super) sender: SenderId,
    pub(super) started: Instant,
    /// Its place among the messages to its client.
    order: u64,
    /// How often it was sent, or turned back without being sent.
    pub(super) hops: u8,
    /// Where it was sent last.
    pub(super) route: Option<Route>,
    /// Whether that route came from the cache.
    pub(super) is_cached: bool,
    /// The last place that turned out not to have the client.
    pub(super) missed: Option<Place>,
}

impl Unicast {
    /// `hash` is the hash of the id.
    pub(super) fn new(id: &str, hash: u64, op: ClientOp, reply: ResultSender) -> Box<Self> {
        Box::new(Self {
            id: id.into(),
            hash,
            op,
            reply,
            sender: SenderId::current(),
            started: Instant::now(),
            order: 0,
            hops: 0,
            route: None,
            is_cached: false,
            missed: None,
        })
    }

    /// Passes on what a callback of this node answers.
    pub(super) async fn answer(self: Box<Self>, running: RunningRequest) {
        if let ResultSender::Ask(sender) = &self.reply {
            sender.answer(running.await);
        }
    }

    /// It was not delivered where it was sent, or may not have been: no report on it comes from there.
    pub(super) fn forget_report(&self) {
        if let (ClientOp::Emit(cast), Some(route)) = (&self.op, &self.route)
            && let Some(tracker) = cast.tracker()
        {
            route.peer.link.forget_report(tracker);
        }
    }

    /// Reports what a lookup has decided. A peer that was asked before has said that it is not concerned.
    pub(super) fn finish_unsent(self, result: OpResult) {
        self.reply.send(result, None);
    }

    pub(super) fn finish(self, result: OpResult) {
        let peer = self.route.as_ref().map(|route| &route.peer.address);
        self.reply.send(result, peer);
    }
}

impl Message for Unicast {
    fn sender(&self) -> SenderId {
        self.sender
    }

    fn started(&self) -> Instant {
        self.started
    }

    fn bytes(&self) -> usize {
        self.op.bytes() + self.id.len()
    }
}

impl ClientMessage for Unicast {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn hash(&self) -> u64 {
        self.hash
    }

    fn order(&self) -> u64 {
        self.order
    }

    fn set_order(&mut self, order: u64) {
        self.order = order;
    }
}

/// A connection as the registry names it: the node, and when the connection arrived (`None` on a legacy
/// node).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) address: Arc<str>,
    pub(super) stamp: Option<Stamp>,
}

impl Place {
    /// The connection that an entry names.
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            address: Arc::clone(&entry.address),
            stamp: match entry.owner {
                Owner::Node { stamp, .. } => Some(stamp),
                Owner::Foreign => None,
            },
        }
    }
}

/// A place with the link to its node.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) peer: Arc<Peer>,
    pub(super) stamp: Option<Stamp>,
}

impl Route {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.peer, &other.peer) && self.stamp == other.stamp
    }

    pub(super) fn place(&self) -> Place {
        Place {
            address: Arc::clone(&self.peer.address),
            stamp: self.stamp,
        }
    }
}

/// What is known of a peer when its link starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    /// The registry lists it, it has greeted this node, or it is a legacy node that entries name.
    Known,
    /// An entry names it.
    Unknown,
}

/// Another node, and the link to it.
pub(super) struct Peer {
    pub(super) address: Arc<str>,
    pub(super) link: Link<PendingReply>,
    /// Whether its lease is alive, or an entry names it though it is a legacy node. Multicasts go to it
    /// even while the link is down, so that the summary names it among the nodes that were missed.
    in_membership: AtomicBool,
}

impl Peer {
    pub(super) fn new(address: Arc<str>, link: Link<PendingReply>, membership: Membership) -> Self {
        Self {
            address,
            link,
            in_membership: AtomicBool::new(membership == Membership::Known),
        }
    }

    /// Whether multicasts go to it.
    pub(super) fn is_in_membership(&self) -> bool {
        if self.in_membership.load(Ordering::Acquire) {
            return !self.link.is_alias();
        }
        self.is_up_and_known()
    }

    /// Whether its link is up, to the process that the registry or the process itself named, or to a legacy
    /// node. A node that only an entry names is no peer before the list of nodes names it too.
    pub(super) fn is_up_and_known(&self) -> bool {
        self.link.is_up() && (self.link.is_expecting() || self.link.is_unary_only())
    }

    pub(super) fn set_in_membership(&self, in_membership: bool) {
        self.in_membership.store(in_membership, Ordering::Release);
    }

    pub(super) fn status(&self) -> PeerStatus {
        let load = self.link.load();
        PeerStatus {
            queued: load.requests,
            queued_bytes: load.bytes,
            round_trip: load.round_trip,
            address: Arc::clone(&self.address),
            process: self.link.process(),
            up: self.link.is_up(),
            legacy: self.link.is_unary_only(),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("address", &self.address)
            .field("up", &self.link.is_up())
            .finish_non_exhaustive()
    }
}

/// The state of the link to another node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// The address of its peer port.
    pub address: Arc<str>,
    /// Its process; `None` until its first answer, and for a node of go-websocket.
    pub process: Option<Uuid>,
    /// Whether messages are sent to it now. While false they are answered
    /// [`Unreachable`](crate::Delivery::Unreachable).
    pub up: bool,
    /// Whether it is a legacy node: a go-websocket node or another that supports the unary service only.
    pub legacy: bool,
    /// Requests that wait to be sent to it.
    pub queued: usize,
    /// Their bytes, at most [`ClusterConfig::link_queue_bytes`](crate::ClusterConfig::link_queue_bytes) and some.
    pub queued_bytes: usize,
    /// How long the answer to the last ping took: one that is answered late also waited behind messages. An idle
    /// link pings every two seconds, a busy one only while the peer is silent. `None` before the first answer.
    pub round_trip: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_reply_stays_small() {
        // There is one for each request that waits for its outcome.
        assert!(size_of::<PendingReply>() <= 32);
    }
}
