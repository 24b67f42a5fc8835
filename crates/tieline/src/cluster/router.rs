//! Sends messages to whichever node has their receiver, and acts on what comes back.
//!
//! Owns the side effects of routing: where a unicast goes next is decided by [`Unicast`]
//! ([`super::unicast`]), its order among others by the [`OrderingQueue`]. Must not know sockets or
//! callers. Invariants: each unicast is finished exactly once; nothing is sent while something before
//! it waits.
//!
//! A unicast with a cached route goes straight to the link if nothing is before it: one lock each for the
//! cache, the queue and the link. Everything else waits in the queue, which hands it back through
//! [`Outlet`]; [`MessageRouter::execute`] then acts on it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};
use tokio_util::task::TaskTracker;

use super::{
    client_op::LocalOutcome,
    config::ClusterConfig,
    directory::NodeDirectory,
    multicast::Multicast,
    ordering::{OrderingQueue, Outlet, PendingLookup, SenderId, Started, StartedMulticast},
    outcome::{OpResult, ResultSender, outcome_code},
    peers::Peers,
    pending::{OutcomeHandler, PendingReply, Route, Unicast},
    routes::Routes,
    summary::{Summary, SummaryBuilder},
    unicast::{AfterOutcome, LookupReason, LookupResult, MAX_WAIT, NextStep, on_peer},
};
use crate::{
    hub::{Cast, ClientOp, ConnectionInner, ExcludedIds, Hub, Scope},
    link::{Answers, Interest, Outcome, proto::OutcomeCode},
    receipt::Receipt,
};

/// How often messages that wait are checked for their age.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// How long a new member of a group waits for the other nodes to know the group.
pub(super) const SYNC_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct MessageRouter {
    pub(super) hub: Hub,
    pub(super) directory: NodeDirectory,
    pub(super) peers: Arc<Peers>,
    pub(super) routes: Routes<Route>,
    pub(super) ordering: OrderingQueue<Unicast, Multicast, LookupResult>,
    /// Whether some task watches how long messages wait.
    is_watching: AtomicBool,
    /// Which users and groups have a connection here, as peers know it.
    pub(super) interest: Arc<Interest>,
    /// What this node has asked.
    pub(super) answers: Arc<Answers>,
    pub(super) tasks: TaskTracker,
    /// By messages to many.
    pub(super) nodes_missed: Arc<AtomicU64>,
    runtime: Handle,
}

impl MessageRouter {
    /// A router of the current runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn new(
        hub: Hub,
        directory: NodeDirectory,
        peers: Arc<Peers>,
        config: &ClusterConfig,
        interest: Arc<Interest>,
        answers: Arc<Answers>,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            hub,
            directory,
            peers,
            routes: Routes::new(config.routes),
            ordering: OrderingQueue::new(config.link_queue_bytes),
            is_watching: AtomicBool::new(false),
            interest,
            answers,
            tasks,
            nodes_missed: Arc::default(),
            runtime: Handle::current(),
        })
    }
}

/// From here.
impl MessageRouter {
    /// The connection of a client at this node, unless it is about to end.
    pub(super) fn local_connection(&self, id: &str) -> Option<Arc<ConnectionInner>> {
        self.hub.find_open(id)
    }

    /// Whether what is sent now to a client of this node has to wait. To be asked after the client was
    /// found here: its arrival is then known.
    pub(super) fn must_wait(&self, id: &str) -> bool {
        !self.ordering.is_idle()
            && self
                .ordering
                .must_wait(SenderId::current(), self.routes.hash(id), id)
    }

    /// Sends to a client that is not here, or for which something waits.
    pub(super) fn send(self: &Arc<Self>, id: &str, op: ClientOp, reply: ResultSender) {
        let unicast = Unicast::new(id, self.routes.hash(id), op, reply);
        let route = self.routes.get(unicast.hash, id);
        let cached = route.map(LookupResult::Cached);
        let started = self.ordering.start(unicast, cached.as_ref());
        self.on_started(started, cached);
    }

    /// Sends to many, behind what the same task has sent and still waits. A single node has nothing that
    /// waits, and nobody to wait for.
    pub(super) fn send_multicast(
        self: &Arc<Self>,
        scope: Scope<'_>,
        except: Option<&ExcludedIds>,
        cast: Cast,
    ) -> Receipt<Summary> {
        if self.peers.is_single_node() {
            return self.hub.send_to_scope(scope, except, &cast);
        }
        let (builder, receipt) = SummaryBuilder::open(&self.nodes_missed);
        let multicast = Multicast::new(scope.into(), except.cloned(), cast, builder);
        match self.ordering.start_multicast(multicast) {
            StartedMulticast::Send(multicast) => self.multicast(multicast),
            StartedMulticast::Queued => {}
            StartedMulticast::Full(multicast) => {
                multicast.refuse(&self.peers, self.directory.address().cloned());
            }
        }
        receipt
    }

    /// A client comes to this node. What was sent to another node and bounces goes before what is sent
    /// from now on. Called under the lock of the hub under which the connection can be found from now on,
    /// so that nothing is sent to it earlier.
    pub(super) fn on_local_connect(&self, id: &str) {
        let hash = self.routes.hash(id);
        self.routes.remove(hash, id);
        self.ordering.hold(hash, id);
    }

    /// Ends links and stops the registrar. What waits for a link is answered.
    pub(super) fn end(&self) {
        self.peers.end();
        self.directory.stop();
    }
}

/// What waits.
impl MessageRouter {
    pub(super) fn on_started(
        self: &Arc<Self>,
        started: Started<Unicast>,
        cached: Option<LookupResult>,
    ) {
        match (started, cached) {
            (Started::Forward(unicast), Some(LookupResult::Cached(route))) => {
                self.forward(unicast, route, true);
            }
            (Started::Forward(unicast), _) => self.take_back(unicast, LookupReason::CameHere),
            (Started::Full(unicast), _) => unicast.finish(OpResult::Code(OutcomeCode::QueueFull)),
            (Started::Queued, _) => self.watch_waiting(),
            (Started::NeedsLookup(lookup), _) => {
                self.watch_waiting();
                self.look_up(lookup, false);
            }
        }
    }

    /// Asks the registry where a client is; at once without an answer while the registry is away. A fresh
    /// answer is asked for once it is decided whether a connection of the client is admitted here.
    fn look_up(self: &Arc<Self>, lookup: PendingLookup, is_fresh: bool) {
        let decision = is_fresh.then(|| self.hub.decision(&lookup.id)).flatten();
        if decision.is_none() && !self.directory.is_available() {
            // The caller may be a thread outside of the runtime.
            let _runtime = self.runtime.enter();
            return self.ordering.resolve(&lookup, &LookupResult::Failed, self);
        }
        let router = Arc::clone(self);
        let task = async move {
            if let Some(decision) = decision {
                decision.await;
            }
            let asked = Instant::now();
            let located = router.directory.try_locate(&lookup.id, is_fresh).await;
            let answered = |located| LookupResult::Answered { located, asked };
            let result = located.map_or(LookupResult::Failed, answered);
            router.ordering.resolve(&lookup, &result, &router);
        };
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// A unicast has come back from a peer, undelivered.
    pub(super) fn take_back(self: &Arc<Self>, unicast: Box<Unicast>, reason: LookupReason) {
        let is_elsewhere = !matches!(reason, LookupReason::NotSent(_));
        self.on_lookup_reason(&unicast, reason);
        let lookup = self.ordering.take_back(unicast, is_elsewhere, self);
        self.watch_waiting();
        if let Some(lookup) = lookup {
            self.look_up(lookup, true);
        }
    }

    /// A unicast cannot be sent by what the registry has answered.
    fn put_back(self: &Arc<Self>, unicast: Box<Unicast>, reason: LookupReason) {
        self.on_lookup_reason(&unicast, reason);
        if let Some(lookup) = self.ordering.put_back(unicast) {
            self.look_up(lookup, true);
        }
    }

    fn on_lookup_reason(&self, unicast: &Unicast, reason: LookupReason) {
        match reason {
            LookupReason::OldAnswer | LookupReason::Claimed | LookupReason::CameHere => {}
            LookupReason::NamesThisNode => self.directory.report_missing(&unicast.id),
            LookupReason::NotSent(failed) | LookupReason::NotThere(failed) => {
                let is_failed = |route: &Route| route.is_same(&failed);
                self.routes.remove_if(unicast.hash, &unicast.id, is_failed);
            }
        }
    }

    /// Gives up what waits for too long, from now until nothing waits.
    fn watch_waiting(self: &Arc<Self>) {
        if self.is_watching.swap(true, Ordering::SeqCst) {
            return;
        }
        let router = Arc::clone(self);
        let watch = async move {
            loop {
                sleep(WATCH_INTERVAL).await;
                if let Some(started) = Instant::now().checked_sub(MAX_WAIT) {
                    router.ordering.expire(started, &router);
                }
                if router.ordering.is_idle() {
                    router.is_watching.store(false, Ordering::SeqCst);
                    // What has begun to wait meanwhile has found that this watches.
                    if router.ordering.is_idle() || router.is_watching.swap(true, Ordering::SeqCst)
                    {
                        return;
                    }
                }
            }
        };
        self.tasks.spawn_on(watch, &self.runtime);
    }
}

/// What leaves the ordering queue.
impl Outlet<Unicast, Multicast, LookupResult> for Arc<MessageRouter> {
    fn dispatch(&self, mut unicast: Box<Unicast>, lookup: &LookupResult) {
        let step = unicast.on_lookup(lookup, &**self);
        self.execute(unicast, step);
    }

    fn resume(&self, unicast: Box<Unicast>) {
        if unicast.is_too_old(Instant::now()) {
            return self.give_up(unicast);
        }
        if let Some(conn) = self.local_connection(&unicast.id)
            && !self.ordering.is_waiting(unicast.hash, &unicast.id)
        {
            return self.apply(unicast, &conn);
        }
        let route = self.routes.get(unicast.hash, &unicast.id);
        let cached = route.map(LookupResult::Cached);
        let started = self.ordering.resume(unicast, cached.as_ref());
        self.on_started(started, cached);
    }

    fn multicast(&self, multicast: Multicast) {
        multicast.send_local(&self.hub, self.directory.address().cloned());
        multicast.send_remote(&self.peers);
    }

    fn give_up(&self, unicast: Box<Unicast>) {
        unicast.finish(OpResult::Unreachable);
    }
}

/// Side effects.
impl MessageRouter {
    fn execute(self: &Arc<Self>, unicast: Box<Unicast>, step: NextStep) {
        match step {
            // It came here after the lookup was answered.
            NextStep::Local(_) if self.ordering.is_undecided(&unicast) => {
                self.put_back(unicast, LookupReason::CameHere);
            }
            NextStep::Local(conn) => self.apply(unicast, &conn),
            NextStep::Connect { place, is_leased } => {
                let peer = self.peers.get_or_connect(&place.address);
                let is_alive = !peer.link.is_alias() && (is_leased || peer.link.is_up());
                self.execute(unicast, on_peer(peer, &place, is_alive));
            }
            NextStep::Forward { route, is_cached } => {
                if !is_cached {
                    self.routes.insert(unicast.hash, &unicast.id, route.clone());
                }
                self.ordering.on_forward(&unicast, &route.peer.address);
                self.forward(unicast, route, is_cached);
            }
            NextStep::LookUp(reason) => self.put_back(unicast, reason),
            NextStep::Finish(result) => unicast.finish_unsent(result),
        }
    }

    /// Sends a unicast that counts as undecided at the peer of this route: who comes here from now on waits
    /// for it. Who came before did not find it.
    fn forward(self: &Arc<Self>, mut unicast: Box<Unicast>, route: Route, is_cached: bool) {
        if self.local_connection(&unicast.id).is_some() {
            return self.take_back(unicast, LookupReason::CameHere);
        }
        let (link, id) = (route.peer.link.clone(), Arc::clone(&unicast.id));
        let op = unicast.op.clone();
        unicast.on_forward(route, is_cached);
        let handler = Arc::<Self>::clone(self);
        op.send(&link, &id, PendingReply::Unicast(handler, unicast));
    }

    fn apply(&self, unicast: Box<Unicast>, conn: &Arc<ConnectionInner>) {
        match unicast.op.apply(&self.hub, conn) {
            // The caller may send to the group at once, so the other nodes have to know first.
            LocalOutcome::Decided(code @ OutcomeCode::Delivered)
                if matches!(unicast.op, ClientOp::Join(_)) =>
            {
                let interest = Arc::clone(&self.interest);
                let task = async move {
                    interest.synced(SYNC_TIMEOUT).await;
                    unicast.finish(OpResult::Code(code));
                };
                self.tasks.spawn_on(task, &self.runtime);
            }
            LocalOutcome::Decided(code) => unicast.finish(OpResult::Code(code)),
            LocalOutcome::Begun(it) => drop(self.tasks.spawn_on(unicast.answer(it), &self.runtime)),
            LocalOutcome::Pending(receipt) => receipt.on_outcome(move |delivery| {
                unicast.finish(OpResult::Code(outcome_code(delivery)));
            }),
        }
    }
}

impl OutcomeHandler for MessageRouter {
    fn on_outcome(self: Arc<Self>, mut unicast: Box<Unicast>, outcome: &Outcome) {
        if *outcome != Outcome::Code(OutcomeCode::Delivered) {
            unicast.forget_report();
        }
        match unicast.on_outcome(outcome, &*self) {
            AfterOutcome::LookUp(reason) => self.take_back(unicast, reason),
            AfterOutcome::Finish(result) => {
                // The client may have come back to that node while unicasts before this one bounced.
                let may_have_arrived = matches!(
                    result,
                    OpResult::Code(OutcomeCode::Delivered | OutcomeCode::Unknown)
                );
                self.ordering.decide(&unicast, may_have_arrived, &self);
                unicast.finish(result);
            }
        }
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

#[cfg(test)]
mod tests;
mod view;
