//! The registry in memory, for the nodes of one process and for tests.
//!
//! Owns the clock, the lock and the pages; `data`, `rosters` and `values` own what the operations do to the data.

mod data;
mod rosters;
mod values;

use std::{ops::Bound, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use self::data::Data;
use crate::{
    contract::{Registry, shared_id},
    error::{RegistryError, RegistryErrorKind},
    id::ClientId,
    reply::RegistryFuture,
    roster::{
        BeatReply, HookReply, JournalReply, OpenReply, Position, Put, PutReply, RosterKind,
        RosterName, RosterPage, RosterReply, TendReply, Term,
    },
    rosters::Rosters,
    types::{
        Claim, ClaimOutcomes, Cursor, ExpiredNode, JoinOutcome, JoinRequest, Located, NodeInfo,
        NodeReport, NodeSession, Page, Release, ReleaseOutcome, Renewal, Stamp,
    },
    values::{StoredValue, ValueError, Values},
};

/// The items of a page, at most.
const PAGE: usize = 512;

/// A registry in memory, shared by the nodes of one process. Clones share the same data.
///
/// The data ends with the process. It takes memory for nodes and for ids that are claimed, never for past
/// ones, and at most 64 MiB for [values](crate::Values): a further one is refused until others have ended.
///
/// Use it in tests: [`skip`](Self::skip), [`snapshot`](Self::snapshot) and [`restore`](Self::restore) do
/// what can happen to a real store.
///
/// ```
/// use tieline_registry::{MemoryRegistry, Registry};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline_registry::RegistryError> {
/// let registry = MemoryRegistry::new();
/// let backup = registry.snapshot();
/// registry.set("ada", "10.0.0.1:7000").await?;
/// registry.restore(&backup);
/// assert_eq!(registry.get("ada").await?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryRegistry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The name of the cluster: no other registry has it.
    cluster: String,
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    data: Data,
    rosters: rosters::Rosters,
    values: values::Values,
    /// How far `skip` has advanced the clock.
    ahead: Duration,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            cluster: format!("memory-{}", Uuid::now_v7()),
            start: Instant::now(),
            state: Mutex::default(),
        }
    }
}

impl Shared {
    /// The time since the registry was made, with what was skipped, in µs.
    fn elapsed(&self, state: &State) -> u64 {
        let elapsed = self.start.elapsed() + state.ahead;
        u64::try_from(elapsed.as_micros()).expect("584,000 years have not passed")
    }
}

impl MemoryRegistry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `f` on the data, with the cluster's time in µs.
    fn with<T>(&self, f: impl FnOnce(&mut Data, u64) -> T) -> T {
        let mut state = self.shared.state.lock();
        let now = state.data.now(self.shared.elapsed(&state));
        f(&mut state.data, now)
    }

    /// Runs `f` on the rosters, with the cluster's time in µs.
    fn with_rosters<T>(&self, f: impl FnOnce(&mut rosters::Rosters, u64) -> T) -> T {
        let now = self.with(|_, now| now);
        f(&mut self.shared.state.lock().rosters, now)
    }

    /// Runs `f` on the values, with the time in µs since the registry was made: the cluster's clock follows the
    /// nodes, and stands still between the reports of one that is ahead.
    fn with_values<T>(&self, f: impl FnOnce(&mut values::Values, u64) -> T) -> T {
        let mut state = self.shared.state.lock();
        let now = self.shared.elapsed(&state);
        f(&mut state.values, now)
    }
}

/// For tests: what can happen to a real store.
impl MemoryRegistry {
    /// Advances the clock, so that leases expire at once.
    pub fn skip(&self, time: Duration) {
        self.shared.state.lock().ahead += time;
    }

    /// A copy of the data as it is now.
    pub fn snapshot(&self) -> Self {
        let copy = Self::new();
        let state = self.shared.state.lock();
        let mut copied = copy.shared.state.lock();
        copied.data = state.data.clone();
        copied.rosters = state.rosters.clone();
        copied.values = state.values.clone();
        drop(copied);
        copy
    }

    /// Replaces the data with that of another registry, such as a [`snapshot`](Self::snapshot). The clock
    /// continues. With an empty registry, everything is lost, and a new [`Epoch`](crate::Epoch) begins.
    pub fn restore(&self, from: &Self) {
        let state = from.shared.state.lock();
        let (data, rosters) = (state.data.clone(), state.rosters.clone());
        let values = state.values.clone();
        drop(state);
        self.with(|current, now| current.replace(data, now));
        self.with_rosters(|current, _| current.replace(rosters));
        self.with_values(|current, _| *current = values);
    }
}

// Every future acts when it is first polled: one that is dropped before that has no effect.
impl Registry for MemoryRegistry {
    fn cluster(&self) -> &str {
        &self.shared.cluster
    }

    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome> {
        Box::pin(async { Ok(self.with(|data, now| data.join(request, now))) })
    }

    fn renew<'a>(
        &'a self,
        session: &'a NodeSession,
        report: NodeReport,
    ) -> RegistryFuture<'a, Renewal> {
        Box::pin(async move { Ok(self.with(|data, now| data.renew(session, report, now))) })
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

    fn locate<'a>(&'a self, key: &'a str, _fresh: bool) -> RegistryFuture<'a, Located> {
        Box::pin(async move { Ok(self.with(|data, now| data.locate(key, now))) })
    }

    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<(ClientId, Stamp)>> {
        Box::pin(async move {
            let after = after(&from)?;
            let items = self.with(|data, _| data.ids_of(&session.address, after, PAGE));
            let next = next(items.last().map(|(id, _)| id), items.len());
            Ok(Page { items, next })
        })
    }

    fn expired(&self) -> RegistryFuture<'_, Vec<ExpiredNode>> {
        Box::pin(async { Ok(self.with(|data, now| data.expired(now))) })
    }

    fn reap<'a>(&'a self, expired: &'a ExpiredNode, limit: usize) -> RegistryFuture<'a, bool> {
        Box::pin(async move { Ok(self.with(|data, now| data.reap(expired, limit, now))) })
    }

    fn rosters(&self) -> Option<&dyn Rosters> {
        Some(self)
    }

    fn values(&self) -> Option<&dyn Values> {
        Some(self)
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            let id = shared_id("set an id", id)?;
            self.with(|data, _| data.set(id, address.into()));
            Ok(())
        })
    }

    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            let id = shared_id("delete an id", id)?;
            self.with(|data, _| data.delete(id.key()));
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

impl Rosters for MemoryRegistry {
    fn open<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, OpenReply> {
        Box::pin(async move { Ok(self.with_rosters(|rosters, now| rosters.open(term, now))) })
    }

    fn beat<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, BeatReply> {
        Box::pin(async move { Ok(self.with_rosters(|rosters, now| rosters.beat(term, now))) })
    }

    fn put<'a>(&'a self, term: &'a Term, put: &'a Put) -> RegistryFuture<'a, PutReply> {
        Box::pin(async move { Ok(self.with_rosters(|rosters, now| rosters.put(term, put, now))) })
    }

    fn tend(&self, lease: Duration) -> RegistryFuture<'_, TendReply> {
        Box::pin(async move { Ok(self.with_rosters(|rosters, now| rosters.tend(lease, now))) })
    }

    fn end<'a>(&'a self, term: &'a Term, after: Duration) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            self.with_rosters(|rosters, now| rosters.end(term, after, now));
            Ok(())
        })
    }

    fn roster<'a>(
        &'a self,
        roster: &'a RosterName,
        most: usize,
    ) -> RegistryFuture<'a, RosterReply> {
        Box::pin(async move { Ok(self.with_rosters(|rosters, _| rosters.roster(roster, most))) })
    }

    fn page<'a>(&'a self, roster: &'a RosterName, from: Cursor) -> RegistryFuture<'a, RosterPage> {
        Box::pin(async move { Ok(self.with_rosters(|rosters, _| rosters.page(roster, &from))) })
    }

    fn rosters(&self, kind: RosterKind, from: Cursor) -> RegistryFuture<'_, Page<RosterName>> {
        Box::pin(async move { self.with_rosters(|rosters, _| rosters.rosters(kind, &from)) })
    }

    fn read<'a>(&'a self, after: &'a Position) -> RegistryFuture<'a, JournalReply> {
        Box::pin(async move { Ok(self.with_rosters(|rosters, _| rosters.read(after))) })
    }

    fn hook<'a>(
        &'a self,
        term: &'a Term,
        reached: Option<&'a Position>,
    ) -> RegistryFuture<'a, HookReply> {
        Box::pin(async move { Ok(self.with_rosters(|rosters, _| rosters.hook(term, reached))) })
    }
}

impl Values for MemoryRegistry {
    fn put<'a>(&'a self, key: &'a str, bytes: Bytes, ttl: Duration) -> RegistryFuture<'a, ()> {
        const OPERATION: &str = "keep a value";
        Box::pin(async move {
            ValueError::check(key, &bytes, ttl).map_err(|why| invalid_input(OPERATION, why))?;
            let put = self.with_values(|values, now| values.put(key, &bytes, ttl, now));
            put.map_err(|full| RegistryError::new(OPERATION, full))
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> RegistryFuture<'a, Option<StoredValue>> {
        Box::pin(async move {
            ValueError::check_key(key).map_err(|why| invalid_input("read a value", why))?;
            Ok(self.with_values(|values, now| values.get(key, now)))
        })
    }
}

/// A cursor is the key of the last id of the previous page.
fn after(cursor: &Cursor) -> Result<Bound<&str>, RegistryError> {
    match cursor.0.as_slice() {
        [] => Ok(Bound::Unbounded),
        last => std::str::from_utf8(last)
            .map(Bound::Excluded)
            .map_err(|error| invalid_input("continue a walk", error)),
    }
}

fn next(last: Option<&ClientId>, items: usize) -> Option<Cursor> {
    let last = last.filter(|_| items == PAGE)?;
    Some(Cursor(last.key().as_bytes().to_vec()))
}

fn invalid_input(
    operation: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> RegistryError {
    RegistryError::of_kind(RegistryErrorKind::InvalidInput, operation, error)
}
