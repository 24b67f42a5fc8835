//! A message to one client, on its way to whichever node has it.
//!
//! Owns the routing rule: the cached route, else the registry; a node that answers "not here" makes it
//! ask again, and follow the client for as long as its entry moves. Invariant: what is answered
//! `Unreachable` or `Offline` was certainly not delivered; nothing is sent twice.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tieline_registry::{Entry, Owner, Stamp};
use tieline_websocket::{CloseFrame, Frame, FrameKind};
use tokio::{sync::oneshot, time::Instant};

use super::{Inner, peers::Peer, summary::Membership, ticket::Ticket};
use crate::{
    Delivery, JoinError, Receipt,
    hub::Member,
    link::{EmitTo, Link, Outcome, Post, Unsent, wire},
    receipt::Teller,
};

/// Every receipt is decided within this time.
pub(super) const DECIDED_WITHIN: Duration = Duration::from_secs(1);

/// A guess that failed is corrected if there is time: one that waited for its link has used it up.
const AGAIN_WITHIN: Duration = Duration::from_millis(100);

/// Nodes that a message is sent to at most, one after the other, while its client moves.
const HOPS: u8 = 8;

/// A message to one client.
#[derive(Debug)]
pub(super) struct One {
    pub(super) id: Arc<str>,
    pub(super) deed: Deed,
    pub(super) reply: Reply,
    begun: Instant,
    hops: u8,
    /// Where it was sent last.
    via: Option<Route>,
    /// Whether that was a guess.
    guessed: bool,
    /// The entry whose node said that the client is not there.
    missed: Option<(Arc<str>, Option<Stamp>)>,
}

/// What is to be done to a client.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    Emit(Frame),
    Close(CloseFrame),
    Join(Arc<str>),
    Leave(Arc<str>),
}

/// Who waits for the outcome.
#[derive(Debug)]
pub(super) enum Reply {
    Delivery(Teller<Delivery>),
    Membership(oneshot::Sender<Membership>),
}

/// What became of a deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Code(wire::Code),
    Unreachable,
}

/// What became of a deed at this node.
pub(super) enum Performed {
    Done(wire::Code),
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
pub(super) enum Found {
    /// A route that is remembered.
    Guess(Route),
    /// What the registry answered, and when it was asked.
    Entry(Option<Entry>, Instant),
    /// The registry did not answer.
    Nothing,
}

impl One {
    pub(super) fn new(id: &str, deed: Deed, reply: Reply) -> Box<Self> {
        Box::new(Self {
            id: id.into(),
            deed,
            reply,
            begun: Instant::now(),
            hops: 0,
            via: None,
            guessed: false,
            missed: None,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        let payload = match &self.deed {
            Deed::Emit(frame) => frame.payload().len(),
            Deed::Close(_) | Deed::Join(_) | Deed::Leave(_) => 0,
        };
        payload + self.id.len()
    }

    /// Tells whoever waits; nobody may.
    pub(super) fn end(self, fate: Fate) {
        match self.reply {
            Reply::Delivery(teller) => teller.tell(fate.into()),
            Reply::Membership(sender) => drop(sender.send(fate.into())),
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
    pub(super) fn send_away(self: &Arc<Self>, one: Box<One>) {
        let route = self.routes.get(&one.id);
        if let Some(route) = &route
            && self.line.is_idle()
            && self.here(&one.id).is_none()
        {
            return self.send(one, route.clone(), true);
        }
        self.stand_in_line(one, route);
    }

    /// Does something to a client of this node.
    pub(super) fn perform(&self, member: &Arc<Member>, deed: &Deed) -> Performed {
        use wire::Code;
        let connection = || self.hub.handle(Arc::clone(member));
        Performed::Done(match deed {
            Deed::Emit(frame) => {
                let mut receipt = self.hub.emit_to(member, frame.clone());
                match receipt.try_outcome() {
                    Some(delivery) => code(delivery),
                    None => return Performed::Later(receipt),
                }
            }
            Deed::Close(frame) => {
                connection().close(frame.clone());
                Code::Delivered
            }
            Deed::Join(group) => match connection().join(group) {
                Ok(true) => Code::Delivered,
                Ok(false) => Code::Unchanged,
                Err(JoinError::TooMany(_)) => Code::TooMany,
                Err(JoinError::Closed) => Code::NotHere,
                Err(JoinError::Name(_)) => Code::Invalid,
            },
            Deed::Leave(group) if connection().leave(group) => Code::Delivered,
            Deed::Leave(_) => Code::Unchanged,
        })
    }

    /// A client of this node that is not about to go.
    pub(super) fn here(&self, id: &str) -> Option<Arc<Member>> {
        self.hub.find(id).filter(|member| !member.is_leaving())
    }

    /// What is known of the client's place now; sends, or says why not.
    pub(super) fn settle(self: &Arc<Self>, one: Box<One>, found: &Found) {
        if let Some(member) = self.here(&one.id) {
            return self.perform_one(one, &member);
        }
        if one.hops >= HOPS || one.begun + DECIDED_WITHIN <= Instant::now() {
            return one.end(Fate::Unreachable);
        }
        match found {
            Found::Guess(route) => self.send(one, route.clone(), true),
            Found::Nothing => one.end(Fate::Unreachable),
            Found::Entry(Some(entry), asked) => self.follow(one, entry, *asked),
            Found::Entry(None, asked) => self.is_nowhere(one, *asked, self.absent()),
        }
    }

    /// No node has the client, says an answer of the registry. One that was asked for before this message
    /// was sent, by others that wait in the same line, says nothing about the time since.
    fn is_nowhere(self: &Arc<Self>, one: Box<One>, asked: Instant, code: wire::Code) {
        if asked < one.begun {
            self.ask_again(one, None);
        } else {
            one.end(Fate::Code(code));
        }
    }

    /// What it means that the registry has no entry: while entries of ours may be missing after a loss,
    /// those of others may be too.
    pub(super) fn absent(&self) -> wire::Code {
        let lost = self.claims().is_some_and(super::NodeClaims::lost_lately);
        if lost {
            wire::Code::Unknown
        } else {
            wire::Code::NotHere
        }
    }

    fn follow(self: &Arc<Self>, mut one: Box<One>, entry: &Entry, asked: Instant) {
        let (stamp, leased) = match entry.owner {
            Owner::Node { stamp, leased } => (Some(stamp), leased),
            Owner::Foreign => (None, true),
        };
        let place = (Arc::clone(&entry.address), stamp);
        if one.missed.as_ref() == Some(&place) {
            // Asked and answered: it is not there, and the registry knows of no other place.
            return self.is_nowhere(one, asked, wire::Code::NotHere);
        }
        if self.address.as_deref() == Some(&*entry.address) {
            // The registry is wrong about this node, or behind it.
            if let Some(claims) = self.claims() {
                claims.missed(&one.id);
            }
            one.missed = Some(place);
            one.hops += 1;
            return self.ask_again(one, None);
        }
        let peer = self.peers.meet(&entry.address, self);
        if !leased && !peer.link.is_up() {
            return one.end(Fate::Code(wire::Code::NotHere));
        }
        let route = Route { peer, stamp };
        self.routes.insert(&one.id, route.clone());
        self.send(one, route, false);
    }

    fn send(self: &Arc<Self>, mut one: Box<One>, route: Route, guessed: bool) {
        let (link, id, deed) = (
            route.peer.link.clone(),
            Arc::clone(&one.id),
            one.deed.clone(),
        );
        (one.via, one.guessed) = (Some(route), guessed);
        one.hops += 1;
        post(&link, &id, &deed, Ticket::One(Arc::clone(self), one));
    }

    /// What a peer answered, or the link in its place.
    pub(super) fn outcome(self: &Arc<Self>, mut one: Box<One>, outcome: &Outcome) {
        if *outcome == Outcome::Code(wire::Code::Delivered) && !self.line.is_idle() {
            // The client came back to that node while messages before this one were on their way back:
            // they would arrive behind it.
            let late = self
                .line
                .overtaken(&one.id, |other| other.begun < one.begun);
            late.into_iter()
                .for_each(|late| late.end(Fate::Unreachable));
        }
        let again = match outcome {
            Outcome::Code(wire::Code::NotHere) => true,
            Outcome::Unsent(Unsent::Unreachable) => {
                one.guessed && one.begun.elapsed() < AGAIN_WITHIN
            }
            _ => false,
        };
        let Some(route) = one.via.clone().filter(|_| again) else {
            return one.end(Fate::of(outcome));
        };
        self.routes.forget(&one.id, |other| other.is_same(&route));
        let answered = *outcome == Outcome::Code(wire::Code::NotHere);
        if answered {
            one.missed = Some((Arc::clone(&route.peer.address), route.stamp));
        }
        self.ask_again(one, answered.then_some(&route.peer));
    }

    /// Asks the registry anew. What was sent to the same node since comes back from there too: a marker
    /// behind it tells when all has.
    fn ask_again(self: &Arc<Self>, one: Box<One>, from: Option<&Arc<Peer>>) {
        let (id, bytes) = (Arc::clone(&one.id), one.bytes());
        if self.line.add_returned(&id, one, bytes) {
            let marker = Ticket::Mark(Arc::clone(self), Arc::clone(&id));
            match from {
                Some(peer) => peer
                    .link
                    .post_urgent(&Post::Ask(wire::Ask::default()), marker),
                None => self.line.returned_all(&id),
            }
            self.look_up(id, true);
        }
        self.advance();
    }

    fn perform_one(self: &Arc<Self>, one: Box<One>, member: &Arc<Member>) {
        match self.perform(member, &one.deed) {
            Performed::Done(code) => one.end(Fate::Code(code)),
            Performed::Later(receipt) => {
                self.tasks
                    .spawn(async move { one.end(Fate::Code(code(receipt.await))) });
            }
        }
    }
}

/// Posts what is to be done to a client.
fn post(link: &Link<Ticket>, id: &str, deed: &Deed, ticket: Ticket) {
    let name = |name: &str| Bytes::copy_from_slice(name.as_bytes());
    let post = match deed {
        Deed::Emit(frame) => {
            let (data, binary) = (frame.payload(), frame.kind() == FrameKind::Binary);
            return link.post(&EmitTo { id, data, binary }, ticket);
        }
        Deed::Close(frame) => Post::Close(wire::Close {
            id: name(id),
            code: frame.code.as_u16().into(),
            reason: name(&frame.reason),
        }),
        Deed::Join(group) | Deed::Leave(group) => Post::Membership(wire::Membership {
            id: name(id),
            group: name(group),
            leave: matches!(deed, Deed::Leave(_)),
        }),
    };
    link.post(&post, ticket);
}

/// What a peer is told of a delivery.
pub(super) fn code(delivery: Delivery) -> wire::Code {
    match delivery {
        Delivery::Delivered => wire::Code::Delivered,
        Delivery::Offline | Delivery::Unreachable => wire::Code::NotHere,
        Delivery::Refused => wire::Code::Refused,
        Delivery::QueueFull => wire::Code::QueueFull,
        Delivery::Unknown => wire::Code::Unknown,
    }
}

impl Fate {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Code(code) => Self::Code(*code),
            Outcome::Unsent(Unsent::QueueFull) => Self::Code(wire::Code::QueueFull),
            Outcome::Unsent(Unsent::Unreachable) => Self::Unreachable,
            Outcome::Reached(_) | Outcome::Listing { .. } | Outcome::Unknown => {
                Self::Code(wire::Code::Unknown)
            }
        }
    }
}

impl From<Fate> for Delivery {
    fn from(fate: Fate) -> Self {
        use wire::Code;
        match fate {
            Fate::Unreachable => Self::Unreachable,
            Fate::Code(Code::Delivered | Code::Unchanged) => Self::Delivered,
            Fate::Code(Code::NotHere) => Self::Offline,
            Fate::Code(Code::Refused | Code::Invalid | Code::TooMany) => Self::Refused,
            Fate::Code(Code::QueueFull) => Self::QueueFull,
            Fate::Code(Code::Unknown) => Self::Unknown,
        }
    }
}

impl From<Fate> for Membership {
    fn from(fate: Fate) -> Self {
        use wire::Code;
        match fate {
            Fate::Code(Code::Delivered) => Self::Changed,
            Fate::Code(Code::Unchanged) => Self::Unchanged,
            Fate::Code(Code::NotHere) => Self::Offline,
            Fate::Code(Code::TooMany) => Self::TooMany,
            Fate::Code(Code::QueueFull) | Fate::Unreachable => Self::Unreachable,
            Fate::Code(Code::Refused | Code::Invalid | Code::Unknown) => Self::Unknown,
        }
    }
}
