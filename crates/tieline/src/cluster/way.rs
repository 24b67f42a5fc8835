//! Standing in line and looking up: what happens to a message whose route is not at hand.

use std::sync::{Arc, atomic::Ordering};

use super::{
    Inner,
    line::{Added, Ready},
    one::{Fate, Found, One, Route},
};
use crate::link::wire;

impl Inner {
    /// Adds a message to the line, behind what was sent before it.
    pub(super) fn stand_in_line(self: &Arc<Self>, one: Box<One>, route: Option<Route>) {
        let (id, bytes) = (Arc::clone(&one.id), one.bytes());
        match self.line.add(&id, one, bytes, route.is_some()) {
            Added::Free(one) => match route {
                Some(route) => self.settle(one, &Found::Guess(route)),
                None => one.end(Fate::Unreachable),
            },
            Added::Full(one) => one.end(Fate::Code(wire::Code::QueueFull)),
            Added::Waits => {}
            Added::Look => match route {
                Some(route) => self.found(&id, &Found::Guess(route)),
                None => self.look_up(id, false),
            },
        }
    }

    /// Asks the registry where a client is.
    pub(super) fn look_up(self: &Arc<Self>, id: Arc<str>, fresh: bool) {
        if !self.registry_answers.load(Ordering::Acquire) {
            return self.found(&id, &Found::Nothing);
        }
        let cluster = Arc::clone(self);
        self.tasks.spawn(async move {
            let found = match cluster.locate(&id, fresh).await {
                Ok(entry) => Found::Entry(entry),
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
