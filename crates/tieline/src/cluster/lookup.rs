//! Standing in line and looking up: what happens to a message whose route is not at hand.

use std::sync::{Arc, atomic::Ordering};

use tokio::time::Instant;

use super::{
    Inner,
    ordering::{Enqueued, Ready},
    pending::PendingReply,
    unicast::{LookupResult, OpResult, Route, Unicast},
};
use crate::link::{RequestKind, proto};

impl Inner {
    /// Adds a message to the line, behind what was sent before it.
    pub(super) fn enqueue_for_lookup(self: &Arc<Self>, msg: Box<Unicast>, route: Option<Route>) {
        let (id, bytes) = (Arc::clone(&msg.id), msg.bytes());
        let is_known = route.is_some() || self.here(&id).is_some();
        match self.ordering.enqueue(&id, msg, bytes, is_known) {
            Enqueued::SendNow(msg) => self.settle(
                msg,
                &route.map_or(LookupResult::Failed, LookupResult::Cached),
            ),
            Enqueued::Full(msg) => msg.end(OpResult::Code(proto::OutcomeCode::QueueFull)),
            Enqueued::Queued => {}
            Enqueued::NeedsLookup => match route {
                Some(route) => self.on_lookup(&id, &LookupResult::Cached(route)),
                None => self.look_up(id, false),
            },
        }
    }

    /// A client of another node has come to this one. What was sent there and comes back goes before what
    /// is sent from now on.
    pub(super) fn on_local_connect(self: &Arc<Self>, id: &str) {
        let Some(route) = self.routes.take(id) else {
            return;
        };
        let id: &Arc<str> = &id.into();
        self.ordering.expect_bounces(id);
        let marker = PendingReply::Barrier(Arc::clone(self), Arc::clone(id));
        let link = &route.peer.link;
        link.send_urgent(&RequestKind::Query(proto::Query::default()), marker);
        self.look_up(Arc::clone(id), true);
    }

    /// Asks the registry where a client is.
    pub(super) fn look_up(self: &Arc<Self>, id: Arc<str>, fresh: bool) {
        if !self.registry_answers.load(Ordering::Acquire) {
            return self.on_lookup(&id, &LookupResult::Failed);
        }
        let cluster = Arc::clone(self);
        let asked = Instant::now();
        self.tasks.spawn(async move {
            let found = match cluster.locate(&id, fresh).await {
                Ok(entry) => LookupResult::Answered(entry, asked),
                Err(_) => LookupResult::Failed,
            };
            cluster.on_lookup(&id, &found);
        });
    }

    fn on_lookup(self: &Arc<Self>, id: &str, found: &LookupResult) {
        self.ordering.resolve(id, found);
        self.dispatch_ready();
    }

    /// Sends what may go.
    pub(super) fn dispatch_ready(self: &Arc<Self>) {
        self.ordering.dispatch(|ready| match ready {
            Ready::Unicasts(msgs, found) => {
                msgs.into_iter().for_each(|msg| self.settle(msg, &found));
            }
            Ready::Multicast(msg) => self.send_multicast_remote(&msg),
        });
    }
}
