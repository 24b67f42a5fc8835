//! A registry in memory, for the nodes of one process and for tests.
//!
//! Owns the [`Registry`] of a process: its clock, its lock, its pages. What the operations do to the
//! data is `data`'s. Must not know what the nodes do with the answers. Clones share one registry.

mod data;

use std::{ops::Bound, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use self::data::Data;
use crate::{
    contract::{Registry, RegistryFuture},
    error::RegistryError,
    id::ClientId,
    types::{
        Claim, ClaimOutcomes, Cursor, Entry, ExpiredNode, JoinOutcome, JoinRequest, NodeInfo,
        NodeSession, Page, Release, ReleaseOutcome, Renewal, Stamp,
    },
};

/// What a page of a walk holds at most.
const PAGE: usize = 512;

/// A registry in memory, shared by the nodes of one process. It is lost with the process; memory is
/// held for nodes and for ids that stand, never for past ones.
#[derive(Debug, Clone, Default)]
pub struct MemoryRegistry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    data: Data,
    /// How far the clock was set forward.
    ahead: Duration,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            state: Mutex::default(),
        }
    }
}

impl MemoryRegistry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Does something to the data at a time, in µs since the registry was made.
    fn with<T>(&self, act: impl FnOnce(&mut Data, u64) -> T) -> T {
        let mut state = self.shared.state.lock();
        let now = self.shared.start.elapsed() + state.ahead;
        let micros = u64::try_from(now.as_micros()).expect("584,000 years have not passed");
        act(&mut state.data, micros)
    }
}

/// What can happen to a real store, for tests.
impl MemoryRegistry {
    /// Sets the clock forward, so that leases run out at once.
    pub fn skip(&self, time: Duration) {
        self.shared.state.lock().ahead += time;
    }

    /// A copy of all that is stored now.
    pub fn snapshot(&self) -> Self {
        let copy = Self::new();
        copy.shared.state.lock().data = self.shared.state.lock().data.clone();
        copy
    }

    /// Replaces all that is stored with what another registry stores. The clock goes on.
    pub fn restore(&self, from: &Self) {
        let data = from.shared.state.lock().data.clone();
        self.shared.state.lock().data = data;
    }
}

// Every future acts when it is first polled: one that is dropped before has asked nothing.
impl Registry for MemoryRegistry {
    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome> {
        Box::pin(async { Ok(self.with(|data, now| data.join(request, now))) })
    }

    fn renew<'a>(&'a self, session: &'a NodeSession, clock: Stamp) -> RegistryFuture<'a, Renewal> {
        Box::pin(async move { Ok(self.with(|data, now| data.renew(session, clock, now))) })
    }

    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()> {
        Box::pin(async {
            self.with(|data, _| data.leave(session));
            Ok(())
        })
    }

    fn nodes(&self) -> RegistryFuture<'_, Vec<NodeInfo>> {
        Box::pin(async { Ok(self.with(|data, now| data.nodes(now))) })
    }

    fn claim<'a>(
        &'a self,
        session: &'a NodeSession,
        claims: &'a [Claim],
    ) -> RegistryFuture<'a, ClaimOutcomes> {
        Box::pin(async { Ok(self.with(|data, now| data.claim(session, claims, now))) })
    }

    fn release<'a>(
        &'a self,
        session: &'a NodeSession,
        releases: &'a [Release],
    ) -> RegistryFuture<'a, ReleaseOutcome> {
        Box::pin(async { Ok(self.with(|data, now| data.release(session, releases, now))) })
    }

    fn locate<'a>(&'a self, id: &'a str, _fresh: bool) -> RegistryFuture<'a, Option<Entry>> {
        Box::pin(async move { Ok(self.with(|data, now| data.locate(id, now))) })
    }

    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<ClientId>> {
        Box::pin(async move {
            let after = after(&from)?;
            let items = self.with(|data, _| data.ids_of(&session.address, after, PAGE));
            let next = next(items.last(), items.len());
            Ok(Page { items, next })
        })
    }

    fn expired(&self) -> RegistryFuture<'_, Vec<ExpiredNode>> {
        Box::pin(async { Ok(self.with(|data, now| data.expired(now))) })
    }

    fn reap<'a>(&'a self, expired: &'a ExpiredNode, most: usize) -> RegistryFuture<'a, bool> {
        Box::pin(async move { Ok(self.with(|data, now| data.reap(expired, most, now))) })
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            let id = ClientId::new(id).map_err(|error| RegistryError::new("set an id", error))?;
            self.with(|data, _| data.set(id, address.into()));
            Ok(())
        })
    }

    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            self.with(|data, _| data.delete(id));
            Ok(())
        })
    }

    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64> {
        Box::pin(async move { Ok(self.with(|data, _| data.delete_node(address))) })
    }

    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>> {
        Box::pin(async move {
            let after = after(&from)?;
            let items = self.with(|data, _| data.scan(after, PAGE));
            let next = next(items.last().map(|(id, _)| id), items.len());
            Ok(Page { items, next })
        })
    }
}

/// A cursor is the last id of the page before.
fn after(cursor: &Cursor) -> Result<Bound<&str>, RegistryError> {
    match cursor.0.as_slice() {
        [] => Ok(Bound::Unbounded),
        last => std::str::from_utf8(last)
            .map(Bound::Excluded)
            .map_err(|error| RegistryError::new("go on with a walk", error)),
    }
}

fn next(last: Option<&ClientId>, items: usize) -> Option<Cursor> {
    let last = last.filter(|_| items == PAGE)?;
    Some(Cursor(last.as_bytes().to_vec()))
}
