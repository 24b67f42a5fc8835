//! A message to one client, on its way to whichever node has it.
//!
//! Owns the routing rule: the cached route, else the registry; a node that answers "not here" makes it
//! ask again, and follow the client for as long as its entry moves. Invariant: what is answered
//! `Unreachable` or `Offline` was certainly not delivered; nothing is sent twice.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tieline_websocket::{CloseFrame, Frame, FrameKind};
use tokio::{sync::oneshot, time::Instant};

use super::{Inner, peers::Peer, pending::PendingReply, summary::Membership};
use crate::{
    Delivery, JoinError, Receipt,
    hub::ConnectionInner,
    link::{Link, NotSent, Outcome, RequestKind, RequestRef, proto},
    receipt::ReceiptSender,
    registry::{Entry, Owner, Stamp},
};

/// Every receipt is decided within this time.
pub(super) const DECIDED_WITHIN: Duration = Duration::from_secs(1);

/// A guess that failed is corrected if there is time: one that waited for its link has used it up.
const AGAIN_WITHIN: Duration = Duration::from_millis(100);

/// Nodes that a message is sent to at most, one after the other, while its client moves.
const HOPS: u8 = 8;

/// A message to one client.
#[derive(Debug)]
pub(super) struct Unicast {
    pub(super) id: Arc<str>,
    pub(super) op: ClientOp,
    pub(super) reply: OutcomeSender,
    begun: Instant,
    hops: u8,
    /// Where it was sent last.
    via: Option<Route>,
    /// Whether that was a guess.
    cached: bool,
    /// The entry whose node said that the client is not there.
    missed: Option<(Arc<str>, Option<Stamp>)>,
}

/// What is to be done to a client.
#[derive(Debug, Clone)]
pub(super) enum ClientOp {
    Emit(Frame),
    Close(CloseFrame),
    Join(Arc<str>),
    Leave(Arc<str>),
}

/// Who waits for the outcome.
#[derive(Debug)]
pub(super) enum OutcomeSender {
    Delivery(ReceiptSender<Delivery>),
    Membership(oneshot::Sender<Membership>),
}

/// What became of a deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpResult {
    Code(proto::OutcomeCode),
    Unreachable,
}

/// What became of a deed at this node.
pub(super) enum Applied {
    Done(proto::OutcomeCode),
    Later(Receipt),
}

/// Where a client is.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) peer: Arc<Peer>,
    /// When its connection arrived; `None` on a foreign node.
    pub(super) stamp: Option<Stamp>,
}

/// What a look-up found.
#[derive(Debug, Clone)]
pub(super) enum LookupResult {
    /// A route that is remembered.
    Cached(Route),
    /// What the registry answered, and when it was asked.
    Answered(Option<Entry>, Instant),
    /// The registry did not answer.
    Failed,
}

impl Unicast {
    pub(super) fn new(id: &str, op: ClientOp, reply: OutcomeSender) -> Box<Self> {
        Box::new(Self {
            id: id.into(),
            op,
            reply,
            begun: Instant::now(),
            hops: 0,
            via: None,
            cached: false,
            missed: None,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        let payload = match &self.op {
            ClientOp::Emit(frame) => frame.payload().len(),
            ClientOp::Close(_) | ClientOp::Join(_) | ClientOp::Leave(_) => 0,
        };
        payload + self.id.len()
    }

    /// Tells whoever waits; nobody may.
    pub(super) fn end(self, result: OpResult) {
        match self.reply {
            OutcomeSender::Delivery(sender) => sender.send(result.into()),
            OutcomeSender::Membership(sender) => drop(sender.send(result.into())),
        }
    }
}

impl Route {
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.peer, &other.peer) && self.stamp == other.stamp
    }
}

impl Inner {
    /// Sends to a client that is not here.
    pub(super) fn send_remote(self: &Arc<Self>, msg: Box<Unicast>) {
        let route = self.routes.get(&msg.id);
        if let Some(route) = &route
            && self.ordering.is_idle()
            && self.here(&msg.id).is_none()
        {
            return self.send(msg, route.clone(), true);
        }
        self.enqueue_for_lookup(msg, route);
    }

    /// Does something to a client of this node.
    pub(super) fn apply(&self, conn: &Arc<ConnectionInner>, op: &ClientOp) -> Applied {
        use proto::OutcomeCode;
        let connection = || self.hub.handle(Arc::clone(conn));
        Applied::Done(match op {
            ClientOp::Emit(frame) => {
                let mut receipt = self.hub.emit_to(conn, frame.clone());
                match receipt.try_outcome() {
                    Some(delivery) => code(delivery),
                    None => return Applied::Later(receipt),
                }
            }
            ClientOp::Close(frame) => {
                connection().close(frame.clone());
                OutcomeCode::Delivered
            }
            ClientOp::Join(group) => match connection().join(group) {
                Ok(true) => OutcomeCode::Delivered,
                Ok(false) => OutcomeCode::Unchanged,
                Err(JoinError::TooMany(_)) => OutcomeCode::TooMany,
                Err(JoinError::Closed) => OutcomeCode::NotHere,
                Err(JoinError::Name(_)) => OutcomeCode::Invalid,
            },
            ClientOp::Leave(group) if connection().leave(group) => OutcomeCode::Delivered,
            ClientOp::Leave(_) => OutcomeCode::Unchanged,
        })
    }

    /// A client of this node that is not about to go.
    pub(super) fn here(&self, id: &str) -> Option<Arc<ConnectionInner>> {
        self.hub.find(id).filter(|conn| !conn.is_close_requested())
    }

    /// What is known of the client's place now; sends, or says why not.
    pub(super) fn settle(self: &Arc<Self>, msg: Box<Unicast>, found: &LookupResult) {
        if let Some(conn) = self.here(&msg.id) {
            return self.apply_unicast(msg, &conn);
        }
        if msg.hops >= HOPS || msg.begun + DECIDED_WITHIN <= Instant::now() {
            return msg.end(OpResult::Unreachable);
        }
        match found {
            LookupResult::Cached(route) => self.send(msg, route.clone(), true),
            LookupResult::Failed => msg.end(OpResult::Unreachable),
            LookupResult::Answered(Some(entry), asked) => self.follow(msg, entry, *asked),
            LookupResult::Answered(None, asked) => self.is_nowhere(msg, *asked, self.absent()),
        }
    }

    /// No node has the client, says an answer of the registry. One that was asked for before this message
    /// was sent, by others that wait in the same line, says nothing about the time since.
    fn is_nowhere(self: &Arc<Self>, msg: Box<Unicast>, asked: Instant, code: proto::OutcomeCode) {
        if asked < msg.begun {
            self.ask_again(msg, None);
        } else {
            msg.end(OpResult::Code(code));
        }
    }

    /// What it means that the registry has no entry: while entries of ours may be missing after a loss,
    /// those of others may be too.
    pub(super) fn absent(&self) -> proto::OutcomeCode {
        let lost = self
            .registrar()
            .is_some_and(super::NodeRegistrar::lost_session_recently);
        if lost {
            proto::OutcomeCode::Unknown
        } else {
            proto::OutcomeCode::NotHere
        }
    }

    fn follow(self: &Arc<Self>, mut msg: Box<Unicast>, entry: &Entry, asked: Instant) {
        let (stamp, leased) = match entry.owner {
            Owner::Node { stamp, leased } => (Some(stamp), leased),
            Owner::Foreign => (None, true),
        };
        let place = (Arc::clone(&entry.address), stamp);
        if msg.missed.as_ref() == Some(&place) {
            // Asked and answered: it is not there, and the registry knows of no other place.
            return self.is_nowhere(msg, asked, proto::OutcomeCode::NotHere);
        }
        if self.address.as_deref() == Some(&*entry.address) {
            // The registry is wrong about this node, or behind it.
            if let Some(registrar) = self.registrar() {
                registrar.on_missing_client(&msg.id);
            }
            msg.missed = Some(place);
            msg.hops += 1;
            return self.ask_again(msg, None);
        }
        let peer = self.peers.get_or_connect(&entry.address, self);
        if !leased && !peer.link.is_up() {
            return msg.end(OpResult::Code(proto::OutcomeCode::NotHere));
        }
        let route = Route { peer, stamp };
        self.routes.insert(&msg.id, route.clone());
        self.send(msg, route, false);
    }

    fn send(self: &Arc<Self>, mut msg: Box<Unicast>, route: Route, cached: bool) {
        let (link, id, op) = (route.peer.link.clone(), Arc::clone(&msg.id), msg.op.clone());
        (msg.via, msg.cached) = (Some(route), cached);
        msg.hops += 1;
        send_op(
            &link,
            &id,
            &op,
            PendingReply::Unicast(Arc::clone(self), msg),
        );
    }

    /// What a peer answered, or the link in its place.
    pub(super) fn outcome(self: &Arc<Self>, mut msg: Box<Unicast>, outcome: &Outcome) {
        if *outcome == Outcome::Code(proto::OutcomeCode::Delivered) && !self.ordering.is_idle() {
            // The client came back to that node while messages before this one were on their way back:
            // they would arrive behind it.
            let late = self
                .ordering
                .overtaken(&msg.id, |other| other.begun < msg.begun);
            late.into_iter()
                .for_each(|late| late.end(OpResult::Unreachable));
        }
        let again = match outcome {
            Outcome::Code(proto::OutcomeCode::NotHere) => true,
            Outcome::NotSent(NotSent::Unreachable) => {
                msg.cached && msg.begun.elapsed() < AGAIN_WITHIN
            }
            _ => false,
        };
        let Some(route) = msg.via.clone().filter(|_| again) else {
            return msg.end(OpResult::of(outcome));
        };
        self.routes
            .unregister(&msg.id, |other| other.is_same(&route));
        let answered = *outcome == Outcome::Code(proto::OutcomeCode::NotHere);
        if answered {
            msg.missed = Some((Arc::clone(&route.peer.address), route.stamp));
        }
        self.ask_again(msg, answered.then_some(&route.peer));
    }

    /// Asks the registry anew. What was sent to the same node since comes back from there too: a marker
    /// behind it tells when all has.
    fn ask_again(self: &Arc<Self>, msg: Box<Unicast>, from: Option<&Arc<Peer>>) {
        let (id, bytes) = (Arc::clone(&msg.id), msg.bytes());
        if self.ordering.add_bounced(&id, msg, bytes) {
            let marker = PendingReply::Barrier(Arc::clone(self), Arc::clone(&id));
            match from {
                Some(peer) => peer
                    .link
                    .send_urgent(&RequestKind::Query(proto::Query::default()), marker),
                None => self.ordering.all_bounced(&id),
            }
            self.look_up(id, true);
        }
        self.dispatch_ready();
    }

    fn apply_unicast(self: &Arc<Self>, msg: Box<Unicast>, conn: &Arc<ConnectionInner>) {
        match self.apply(conn, &msg.op) {
            Applied::Done(code) => msg.end(OpResult::Code(code)),
            Applied::Later(receipt) => {
                self.tasks
                    .spawn(async move { msg.end(OpResult::Code(code(receipt.await))) });
            }
        }
    }
}

/// Posts what is to be done to a client.
fn send_op(link: &Link<PendingReply>, id: &str, op: &ClientOp, pending: PendingReply) {
    let name = |name: &str| Bytes::copy_from_slice(name.as_bytes());
    let request = match op {
        ClientOp::Emit(frame) => {
            let (data, binary) = (frame.payload(), frame.kind() == FrameKind::Binary);
            return link.send(&RequestRef { id, data, binary }, pending);
        }
        ClientOp::Close(frame) => RequestKind::Close(proto::Close {
            id: name(id),
            code: frame.code.as_u16().into(),
            reason: name(&frame.reason),
        }),
        ClientOp::Join(group) | ClientOp::Leave(group) => {
            RequestKind::Membership(proto::Membership {
                id: name(id),
                group: name(group),
                leave: matches!(op, ClientOp::Leave(_)),
            })
        }
    };
    link.send(&request, pending);
}

/// What a peer is told of a delivery.
pub(super) fn code(delivery: Delivery) -> proto::OutcomeCode {
    match delivery {
        Delivery::Delivered => proto::OutcomeCode::Delivered,
        Delivery::Offline | Delivery::Unreachable => proto::OutcomeCode::NotHere,
        Delivery::Refused => proto::OutcomeCode::Refused,
        Delivery::QueueFull => proto::OutcomeCode::QueueFull,
        Delivery::Unknown => proto::OutcomeCode::Unknown,
    }
}

impl OpResult {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Code(code) => Self::Code(*code),
            Outcome::NotSent(NotSent::QueueFull) => Self::Code(proto::OutcomeCode::QueueFull),
            Outcome::NotSent(NotSent::Unreachable) => Self::Unreachable,
            Outcome::Reached(_) | Outcome::Listing { .. } | Outcome::Unknown => {
                Self::Code(proto::OutcomeCode::Unknown)
            }
        }
    }
}

impl From<OpResult> for Delivery {
    fn from(result: OpResult) -> Self {
        use proto::OutcomeCode;
        match result {
            OpResult::Unreachable => Self::Unreachable,
            OpResult::Code(OutcomeCode::Delivered | OutcomeCode::Unchanged) => Self::Delivered,
            OpResult::Code(OutcomeCode::NotHere) => Self::Offline,
            OpResult::Code(OutcomeCode::Refused | OutcomeCode::Invalid | OutcomeCode::TooMany) => {
                Self::Refused
            }
            OpResult::Code(OutcomeCode::QueueFull) => Self::QueueFull,
            OpResult::Code(OutcomeCode::Unknown) => Self::Unknown,
        }
    }
}

impl From<OpResult> for Membership {
    fn from(result: OpResult) -> Self {
        use proto::OutcomeCode;
        match result {
            OpResult::Code(OutcomeCode::Delivered) => Self::Changed,
            OpResult::Code(OutcomeCode::Unchanged) => Self::Unchanged,
            OpResult::Code(OutcomeCode::NotHere) => Self::Offline,
            OpResult::Code(OutcomeCode::TooMany) => Self::TooMany,
            OpResult::Code(OutcomeCode::QueueFull) | OpResult::Unreachable => Self::Unreachable,
            OpResult::Code(OutcomeCode::Refused | OutcomeCode::Invalid | OutcomeCode::Unknown) => {
                Self::Unknown
            }
        }
    }
}
