//! The requests to clients of a go-websocket node that wait for an earlier call about the same client.
//!
//! Owns their order per client and their bound, so that a client whose calls are slow holds back nobody else.
//! Must not know calls or clocks: times are passed in. Invariant: each completion leaves once, and what leaves
//! without its request was not sent.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use crate::link::{
    outcome::{Completion, NotSent, Outcome},
    proto::Emit,
};

/// Requests, at most.
const MAX_REQUESTS: usize = 4_096;

/// One message to a client.
pub(super) struct WaitingEmit<T> {
    pub(super) emit: Emit,
    pub(super) completion: T,
    pub(super) since: Instant,
}

impl<T> WaitingEmit<T> {
    fn bytes(&self) -> usize {
        self.emit.id.len() + self.emit.data.len()
    }
}

pub(super) struct UnaryBacklog<T: Completion> {
    by_client: HashMap<Bytes, VecDeque<WaitingEmit<T>>>,
    requests: usize,
    bytes: usize,
    max_bytes: usize,
}

impl<T: Completion> UnaryBacklog<T> {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            by_client: HashMap::new(),
            requests: 0,
            bytes: 0,
            max_bytes,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.requests >= MAX_REQUESTS || self.bytes >= self.max_bytes
    }

    pub(super) fn push(&mut self, waiting: WaitingEmit<T>) {
        self.requests += 1;
        self.bytes += waiting.bytes();
        let id = waiting.emit.id.clone();
        self.by_client.entry(id).or_default().push_back(waiting);
    }

    /// The next request to a client.
    pub(super) fn pop(&mut self, id: &Bytes) -> Option<WaitingEmit<T>> {
        let queue = self.by_client.get_mut(id)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.by_client.remove(id);
        }
        if let Some(next) = &next {
            self.requests -= 1;
            self.bytes -= next.bytes();
        }
        next
    }

    /// Gives up what is at least `max_age` old.
    pub(super) fn expire(&mut self, now: Instant, max_age: Duration, why: NotSent) {
        if self.is_empty() {
            return;
        }
        let is_old =
            |waiting: &WaitingEmit<T>| now.saturating_duration_since(waiting.since) >= max_age;
        let ids = self.by_client.iter();
        let old = ids.filter(|(_, queue)| queue.front().is_some_and(is_old));
        let old: Vec<_> = old.map(|(id, _)| id.clone()).collect();
        for id in old {
            while self
                .by_client
                .get(&id)
                .and_then(VecDeque::front)
                .is_some_and(is_old)
            {
                let expired = self.pop(&id);
                complete(expired.into_iter(), why);
            }
        }
    }
}

fn complete<T: Completion>(waiting: impl Iterator<Item = WaitingEmit<T>>, why: NotSent) {
    waiting.for_each(|waiting| waiting.completion.complete(Outcome::NotSent(why)));
}

impl<T: Completion> Drop for UnaryBacklog<T> {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut self.by_client).into_values().flatten();
        complete(rest, NotSent::Unreachable);
    }
}
