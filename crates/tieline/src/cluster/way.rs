//! Standing in line and looking up: what happens to a message whose route is not at hand.

use std::sync::{Arc, atomic::Ordering};

use tokio::time::Instant;

use super::{
    Inner,
    line::{Added, Ready},
    one::{Fate, Found, One, Route},
    ticket::Ticket,
};
use crate::link::{Post, wire};

impl Inner {
    /// Adds a message to the line, behind what was sent before it.
    pub(super) fn stand_in_line(self: &Arc<Self>, one: Box<One>, route: Option<Route>) {
        let (id, bytes) = (Arc::clone(&one.id), one.bytes());
        let is_known = route.is_some() || self.here(&id).is_some();
        match self.line.add(&id, one, bytes, is_known) {
            Added::Free(one) => self.settle(one, &route.map_or(Found::Nothing, Found::Guess)),
            Added::Full(one) => one.end(Fate::Code(wire::Code::QueueFull)),
            Added::Waits => {}
            Added::Look => match route {
                Some(route) => self.found(&id, &Found::Guess(route)),
                None => self.look_up(id, false),
            },
        }
    }

    /// A client of another node has come to this one. What was sent there and comes back goes before what
    /// is sent from now on.
    pub(super) fn comes_home(self: &Arc<Self>, id: &str) {
        let Some(route) = self.routes.take(id) else {
            return;
        };
        let id: &Arc<str> = &id.into();
        self.line.await_returns(id);
        let marker = Ticket::Mark(Arc::clone(self), Arc::clone(id));
        let link = &route.peer.link;
        link.post_urgent(&Post::Ask(wire::Ask::default()), marker);
        self.look_up(Arc::clone(id), true);
    }

    /// Asks the registry where a client is.
    pub(super) fn look_up(self: &Arc<Self>, id: Arc<str>, fresh: bool) {
        if !self.registry_answers.load(Ordering::Acquire) {
            return self.found(&id, &Found::Nothing);
        }
        let cluster = Arc::clone(self);
        let asked = Instant::now();
        self.tasks.spawn(async move {
            let found = match cluster.locate(&id, fresh).await {
                Ok(entry) => Found::Entry(entry, asked),
                Err(_) => Found::Nothing,
            };
            cluster.found(&id, &found);
        });
    }

    fn found(self: &Arc<Self>, id: &str, found: &Found) {
        self.line.found(id, found);
        self.advance();
    }

    /// Sends what may go.
    pub(super) fn advance(self: &Arc<Self>) {
        self.line.dispatch(|ready| match ready {
            Ready::Ones(ones, found) => {
                ones.into_iter().for_each(|one| self.settle(one, &found));
            }
            Ready::Many(many) => self.send_many(&many),
        });
    }
}
