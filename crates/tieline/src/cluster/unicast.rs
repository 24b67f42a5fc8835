//! Decides where a unicast goes next. No side effects: [`super::router`] acts.
//!
//! Owns the routing rule: a connection of this node, else the cached route, else the registry; a node
//! that answers "not here" causes another lookup, and the unicast follows its client for as long as
//! the client's entry moves. Must not send, dial, cache, or ask anything itself: what a decision
//! depends on is in the unicast, in the event, or in [`View`].
//!
//! ```text
//! on_lookup   (sent first, or after LookUp)  ─► Local | Forward | Connect | LookUp | Finish
//! on_peer     (after Connect)                ─► Forward | Finish
//! on_outcome  (after Forward)                ─► LookUp | Finish  (an AfterOutcome)
//! ```
//!
//! Invariants: after `Finish(Unreachable)` or `Finish(Code(NotHere))` nothing was delivered; a unicast
//! is forwarded again only after an outcome that excludes its delivery; it is forwarded at most
//! [`MAX_HOPS`] times, and neither forwarded nor delivered here after [`MAX_WAIT`].

use std::{sync::Arc, time::Duration};

use tieline_registry::{Entry, Located, Owner};
use tokio::time::Instant;

use super::{
    ordering::Destination,
    outcome::OpResult,
    pending::{Peer, Place, Route, Unicast},
};
use crate::{
    hub::{ConnectionInner, Presence},
    link::{NotSent, Outcome, proto::OutcomeCode},
};

/// The age from which a message is not sent any more. Whatever it waits for takes from this, and a link
/// decides it within a second: within two, if it is checked often enough.
pub(super) const MAX_WAIT: Duration = Duration::from_millis(940);

/// Nodes that a unicast is sent to while its client moves.
const MAX_HOPS: u8 = 8;

/// What to do with a unicast next.
#[derive(Debug)]
pub(super) enum NextStep<Connection = Arc<ConnectionInner>> {
    /// Apply it to this connection of this node.
    Local(Connection),
    /// Get the link to the node that the registry names, then decide with [`on_peer`]. `is_leased` says
    /// whether the node counts as alive without its link.
    Connect { place: Place, is_leased: bool },
    /// Send it to a peer. A route that was not cached is to be.
    Forward { route: Route, is_cached: bool },
    /// Ask the registry again.
    LookUp(LookupReason),
    /// Report this result.
    Finish(OpResult),
}

/// What the outcome of a forwarded unicast means.
#[derive(Debug)]
pub(super) enum AfterOutcome {
    /// It comes back: ask the registry again.
    LookUp(LookupReason),
    /// Report this result.
    Finish(OpResult),
}

/// Why the registry has to be asked again.
#[derive(Debug)]
pub(super) enum LookupReason {
    /// Its answer is older than the unicast: other messages to the client had asked before.
    OldAnswer,
    /// It names this node, which does not have the client: its entry is wrong, or this node is behind.
    NamesThisNode,
    /// No other node has the client, and its connection here waits for its admission: wait for the
    /// decision first.
    Claimed,
    /// The link of a cached route sent nothing.
    NotSent(Route),
    /// The node of this route does not have the client. Other unicasts that were sent there bounce too.
    NotThere(Route),
    /// The client came to this node just before the unicast was sent.
    CameHere,
}

/// The result of looking up a client.
#[derive(Debug, Clone)]
pub(super) enum LookupResult {
    /// A route from the cache.
    Cached(Route),
    /// What the registry answered, and when it was asked.
    Answered { located: Located, asked: Instant },
    /// The registry did not answer.
    Failed,
}

impl Destination for LookupResult {
    fn address(&self) -> Option<&Arc<str>> {
        match self {
            Self::Cached(route) => Some(&route.peer.address),
            Self::Answered {
                located: Located::At(entry),
                ..
            } => Some(&entry.address),
            Self::Answered { .. } | Self::Failed => None,
        }
    }
}

/// What a decision may look at. Each method is called only when needed.
pub(super) trait View {
    type Connection;

    fn now(&self) -> Instant;
    /// The address of this node, if peers can reach it.
    fn own_address(&self) -> Option<&str>;
    /// Whether the client is at this node.
    fn presence(&self, id: &str) -> Presence<Self::Connection>;
}

impl Unicast {
    /// The registry answered, or a cached route is at hand.
    pub(super) fn on_lookup<V: View>(
        &mut self,
        result: &LookupResult,
        view: &V,
    ) -> NextStep<V::Connection> {
        if self.is_too_old(view.now()) {
            return NextStep::Finish(OpResult::Unreachable);
        }
        let presence = view.presence(&self.id);
        if let Presence::Here(connection) = presence {
            return NextStep::Local(connection);
        }
        if self.hops >= MAX_HOPS {
            return NextStep::Finish(OpResult::Unreachable);
        }
        if matches!(presence, Presence::Claimed) && !self.may_be_elsewhere(result, view) {
            self.hops += 1;
            return NextStep::LookUp(LookupReason::Claimed);
        }
        match result {
            LookupResult::Cached(route) => NextStep::Forward {
                route: route.clone(),
                is_cached: true,
            },
            LookupResult::Answered { located, asked } => match located {
                Located::At(entry) => self.on_entry(entry, *asked, view),
                Located::Nowhere => self.on_absence(*asked, OutcomeCode::NotHere),
                // After a loss, connected clients may lack their entries.
                Located::Unknown => self.on_absence(*asked, OutcomeCode::Unknown),
            },
            LookupResult::Failed => NextStep::Finish(OpResult::Unreachable),
        }
    }

    /// Whether another node may have the client.
    fn may_be_elsewhere<V: View>(&self, result: &LookupResult, view: &V) -> bool {
        let entry = match result {
            LookupResult::Cached(_) => return true,
            LookupResult::Answered {
                located: Located::At(entry),
                ..
            } => entry,
            LookupResult::Answered { .. } | LookupResult::Failed => return false,
        };
        let place = Place::of(entry);
        !matches!(entry.owner, Owner::Node { leased: false, .. })
            && view.own_address() != Some(&*place.address)
            && self.missed.as_ref() != Some(&place)
    }

    fn on_entry<V: View>(
        &mut self,
        entry: &Entry,
        asked: Instant,
        view: &V,
    ) -> NextStep<V::Connection> {
        let place = Place::of(entry);
        let is_leased = !matches!(entry.owner, Owner::Node { leased: false, .. });
        if self.missed.as_ref() == Some(&place) {
            // That place does not have it, and the registry knows no other.
            return self.on_absence(asked, OutcomeCode::NotHere);
        }
        if view.own_address() == Some(&*place.address) {
            self.missed = Some(place);
            self.hops += 1;
            return NextStep::LookUp(LookupReason::NamesThisNode);
        }
        NextStep::Connect { place, is_leased }
    }

    /// No node has the client. An answer that is older than the unicast does not say so: the client may
    /// have connected in between.
    fn on_absence<C>(&self, asked: Instant, code: OutcomeCode) -> NextStep<C> {
        if asked < self.started {
            NextStep::LookUp(LookupReason::OldAnswer)
        } else {
            NextStep::Finish(OpResult::Code(code))
        }
    }

    /// Whether it must not be sent any more. Later messages of its sender may have overtaken it by then.
    pub(super) fn is_too_old(&self, now: Instant) -> bool {
        self.started + MAX_WAIT <= now || self.op.deadline().is_some_and(|by| by <= now)
    }

    /// It is about to be sent.
    pub(super) fn on_forward(&mut self, route: Route, is_cached: bool) {
        (self.route, self.is_cached) = (Some(route), is_cached);
        self.hops += 1;
    }

    /// The peer answered, or the link did in its place.
    pub(super) fn on_outcome<V: View>(&mut self, outcome: &Outcome, view: &V) -> AfterOutcome {
        let result = AfterOutcome::Finish(outcome.into());
        let Some(route) = &self.route else {
            return result;
        };
        match outcome {
            Outcome::Code(OutcomeCode::NotHere) | Outcome::NotSent(NotSent::NoNamespaces)
                if self.is_too_old(view.now()) =>
            {
                AfterOutcome::Finish(OpResult::Unreachable)
            }
            Outcome::Code(OutcomeCode::NotHere) | Outcome::NotSent(NotSent::NoNamespaces) => {
                self.missed = Some(route.place());
                AfterOutcome::LookUp(LookupReason::NotThere(route.clone()))
            }
            Outcome::NotSent(NotSent::Unreachable)
                if self.is_cached && !self.is_too_old(view.now()) =>
            {
                AfterOutcome::LookUp(LookupReason::NotSent(route.clone()))
            }
            _ => result,
        }
    }
}

/// The link to the node that the registry names is known. A node without a lease is dead unless its
/// link is up.
pub(super) fn on_peer<C>(peer: Arc<Peer>, place: &Place, is_alive: bool) -> NextStep<C> {
    if !is_alive {
        return NextStep::Finish(OpResult::Code(OutcomeCode::NotHere));
    }
    NextStep::Forward {
        route: Route {
            peer,
            stamp: place.stamp,
        },
        is_cached: false,
    }
}

#[cfg(test)]
mod tests;
