//! Sends messages to whichever node has their receiver, and acts on what comes back.
//!
//! Owns the side effects of routing: where a unicast goes next is decided by [`Unicast`]
//! ([`super::unicast`]), its order among others by the [`OrderingQueue`]. Must not know sockets or
//! callers. Invariants: each unicast is finished exactly once; nothing is sent while something before
//! it waits.
//!
//! A unicast with a cached route goes straight to the link while the queue is idle: an atomic load, and
//! one lock each for the cache and the link. Everything else joins the queue, and [`MessageRouter::execute`]
//! acts on it once its client is looked up.

use std::{fmt, sync::Arc, time::Duration};

use tieline_websocket::Frame;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{
    client_op::LocalOutcome,
    directory::NodeDirectory,
    multicast::Multicast,
    ordering::{Enqueued, OrderingQueue, Ready},
    outcome::{OpResult, outcome_code},
    peers::Peers,
    pending::{Barrier, OutcomeHandler, Peer, PendingReply, Route, Unicast},
    routes::Routes,
    summary::{Summary, SummaryBuilder},
    unicast::{LookupReason, LookupResult, NextStep, View, on_peer},
};
use crate::{
    hub::{ConnectionInner, ExcludedIds, Hub, OwnedScope},
    link::{
        Interest, Outcome, RequestKind,
        proto::{self, OutcomeCode},
    },
    receipt::Receipt,
};

/// How long a new member of a group waits for the other nodes to know the group.
pub(super) const SYNC_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct MessageRouter {
    pub(super) hub: Hub,
    pub(super) directory: NodeDirectory,
    pub(super) peers: Arc<Peers>,
    pub(super) routes: Routes<Route>,
    pub(super) ordering: OrderingQueue<Box<Unicast>, Multicast, LookupResult>,
    /// Which users and groups have a connection here, as peers know it.
    pub(super) interest: Arc<Interest>,
    pub(super) tasks: TaskTracker,
}

/// From here.
impl MessageRouter {
    /// The connection of a client at this node, unless it is about to end.
    pub(super) fn local_connection(&self, id: &str) -> Option<Arc<ConnectionInner>> {
        self.hub.find_open(id)
    }

    /// Sends to a client that is not here.
    pub(super) fn send(self: &Arc<Self>, unicast: Box<Unicast>) {
        // The first arm is `on_lookup` with a cached route, taken before the ordering queue.
        match self.routes.get(&unicast.id) {
            Some(route)
                if self.ordering.is_idle() && self.local_connection(&unicast.id).is_none() =>
            {
                let is_cached = true;
                self.execute(unicast, NextStep::Forward { route, is_cached });
            }
            route => self.enqueue_for_lookup(unicast, route),
        }
    }

    /// Sends to many: to connections of this node at once, to other nodes behind what was sent before.
    pub(super) fn send_multicast(
        self: &Arc<Self>,
        scope: OwnedScope,
        except: Option<ExcludedIds>,
        frame: Frame,
    ) -> Receipt<Summary> {
        let (builder, receipt) = SummaryBuilder::open();
        let multicast = Multicast {
            scope,
            except,
            frame,
            builder,
        };
        multicast.send_local(&self.hub, self.directory.address().cloned());
        match self.ordering.add_multicast(multicast) {
            Some(multicast) => multicast.send_remote(&self.peers),
            None => self.dispatch_ready(),
        }
        receipt
    }

    /// A client of another node has come to this one. What was sent there and bounces goes before what
    /// is sent from now on.
    pub(super) fn on_local_connect(self: &Arc<Self>, id: &str) {
        let Some(route) = self.routes.remove(id) else {
            return;
        };
        let id: Arc<str> = id.into();
        self.ordering.expect_bounces(&id);
        self.send_barrier(&route.peer, &id);
        self.look_up(id, true);
    }

    /// Ends links and stops the registrar. What waits for a link is answered.
    pub(super) fn end(&self) {
        self.peers.end();
        self.directory.stop();
    }
}

/// Lookups.
impl MessageRouter {
    /// Adds a unicast to the queue, behind what was sent before it.
    fn enqueue_for_lookup(self: &Arc<Self>, unicast: Box<Unicast>, route: Option<Route>) {
        let (id, bytes) = (Arc::clone(&unicast.id), unicast.bytes());
        let is_routed = route.is_some() || self.local_connection(&id).is_some();
        match self.ordering.enqueue(&id, unicast, bytes, is_routed) {
            Enqueued::SendNow(unicast) => {
                let result = route.map_or(LookupResult::Failed, LookupResult::Cached);
                self.on_lookup(unicast, &result);
            }
            Enqueued::Full(unicast) => unicast.finish(OpResult::Code(OutcomeCode::QueueFull)),
            Enqueued::Queued => {}
            Enqueued::NeedsLookup => match route {
                Some(route) => self.resolve(&id, &LookupResult::Cached(route)),
                None => self.look_up(id, false),
            },
        }
    }

    /// Asks the registry where a client is; at once without an answer while the registry is away.
    fn look_up(self: &Arc<Self>, id: Arc<str>, is_fresh: bool) {
        if !self.directory.is_available() {
            return self.resolve(&id, &LookupResult::Failed);
        }
        let router = Arc::clone(self);
        let asked = Instant::now();
        self.tasks.spawn(async move {
            let result = match router.directory.locate(&id, is_fresh).await {
                Ok(located) => LookupResult::Answered { located, asked },
                Err(_) => LookupResult::Failed,
            };
            router.resolve(&id, &result);
        });
    }

    fn resolve(self: &Arc<Self>, id: &str, result: &LookupResult) {
        self.ordering.resolve(id, result);
        self.dispatch_ready();
    }

    fn dispatch_ready(self: &Arc<Self>) {
        self.ordering.dispatch(|ready| match ready {
            Ready::Unicasts(unicasts, result) => {
                for unicast in unicasts {
                    self.on_lookup(unicast, &result);
                }
            }
            Ready::Multicast(multicast) => multicast.send_remote(&self.peers),
        });
    }

    fn on_lookup(self: &Arc<Self>, mut unicast: Box<Unicast>, result: &LookupResult) {
        let step = unicast.on_lookup(result, &**self);
        self.execute(unicast, step);
    }

    /// Asks the registry anew, and holds what else bounces until then.
    fn look_up_again(self: &Arc<Self>, unicast: Box<Unicast>, reason: LookupReason) {
        let (id, bytes) = (Arc::clone(&unicast.id), unicast.bytes());
        let behind = match reason {
            LookupReason::OldAnswer => None,
            LookupReason::NamesThisNode => {
                self.directory.report_missing(&id);
                None
            }
            LookupReason::NotSent(failed) => {
                self.routes.remove_if(&id, |route| route.is_same(&failed));
                None
            }
            LookupReason::NotThere(failed) => {
                self.routes.remove_if(&id, |route| route.is_same(&failed));
                Some(failed.peer)
            }
        };
        if self.ordering.add_bounced(&id, unicast, bytes) {
            match behind {
                Some(peer) => self.send_barrier(&peer, &id),
                None => self.ordering.all_bounced(&id),
            }
            self.look_up(id, true);
        }
        self.dispatch_ready();
    }

    /// Sends an empty query behind what was sent to a peer: once it is answered, all has bounced.
    fn send_barrier(self: &Arc<Self>, peer: &Peer, id: &Arc<str>) {
        let barrier = PendingReply::Barrier(Box::new(Barrier {
            handler: Arc::<Self>::clone(self),
            id: Arc::clone(id),
        }));
        let query = RequestKind::Query(proto::Query::default());
        peer.link.send_urgent(&query, barrier);
    }
}

/// Side effects.
impl MessageRouter {
    fn execute(self: &Arc<Self>, mut unicast: Box<Unicast>, step: NextStep) {
        match step {
            NextStep::Local(conn) => self.apply(unicast, &conn),
            NextStep::Connect { place, is_leased } => {
                let peer = self.peers.get_or_connect(&place.address);
                let is_alive = is_leased || peer.link.is_up();
                self.execute(unicast, on_peer(peer, &place, is_alive));
            }
            NextStep::Forward { route, is_cached } => {
                if !is_cached {
                    self.routes.insert(&unicast.id, route.clone());
                }
                let (link, id) = (route.peer.link.clone(), Arc::clone(&unicast.id));
                let op = unicast.op.clone();
                unicast.on_forward(route, is_cached);
                let handler = Arc::<Self>::clone(self);
                op.send(&link, &id, PendingReply::Unicast(handler, unicast));
            }
            NextStep::LookUp(reason) => self.look_up_again(unicast, reason),
            NextStep::Finish(result) => unicast.finish(result),
        }
    }

    fn apply(&self, unicast: Box<Unicast>, conn: &Arc<ConnectionInner>) {
        match unicast.op.apply(&self.hub, conn) {
            LocalOutcome::Decided(code) => unicast.finish(OpResult::Code(code)),
            LocalOutcome::Pending(receipt) => {
                self.tasks.spawn(async move {
                    unicast.finish(OpResult::Code(outcome_code(receipt.await)));
                });
            }
        }
    }
}

impl OutcomeHandler for MessageRouter {
    fn on_outcome(self: Arc<Self>, mut unicast: Box<Unicast>, outcome: &Outcome) {
        if *outcome == Outcome::Code(OutcomeCode::Delivered) && !self.ordering.is_idle() {
            // The client came back to that node while unicasts before this one bounced: they would
            // arrive behind it.
            let overtaken = self
                .ordering
                .take_overtaken(&unicast.id, |other| other.started < unicast.started);
            for overtaken in overtaken {
                overtaken.finish(OpResult::Unreachable);
            }
        }
        let step = unicast.on_outcome(outcome, &*self);
        self.execute(unicast, step);
    }

    fn on_barrier(self: Arc<Self>, id: &str) {
        self.ordering.all_bounced(id);
        self.dispatch_ready();
    }
}

impl View for MessageRouter {
    type Connection = Arc<ConnectionInner>;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn own_address(&self) -> Option<&str> {
        self.directory.address().map(|address| &**address)
    }

    fn connection(&self, id: &str) -> Option<Arc<ConnectionInner>> {
        self.local_connection(id)
    }
}

/// A start that fails halfway ends its links and its registrar too.
impl Drop for MessageRouter {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for MessageRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRouter")
            .field("address", &self.directory.address())
            .finish_non_exhaustive()
    }
}
