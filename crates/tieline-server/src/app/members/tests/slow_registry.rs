//! A registry that answers a put when the test says so, and a beat too if it is told to wait.

use std::time::Duration;

use tieline::{
    ClientId, Position,
    registry::{
        BeatReply, Claim, ClaimOutcomes, Cursor, HookReply, JoinOutcome, JoinRequest, JournalReply,
        Located, MemoryRegistry, NodeInfo, NodeReport, NodeSession, OpenReply, Page, Put, PutReply,
        Registry, RegistryFuture, Release, ReleaseOutcome, Renewal, RosterKind, RosterName,
        RosterPage, RosterReply, Rosters, Stamp, Term,
    },
};
use tokio::sync::{Mutex, MutexGuard, Notify, Semaphore};

use super::Arc;

#[derive(Debug)]
pub(super) struct SlowRegistry {
    memory: MemoryRegistry,
    /// The puts that it may answer.
    answers: Semaphore,
    beats: Mutex<()>,
    beat_waits: Notify,
}

impl SlowRegistry {
    pub(super) fn new() -> Self {
        Self {
            memory: MemoryRegistry::new(),
            answers: Semaphore::new(0),
            beats: Mutex::new(()),
            beat_waits: Notify::new(),
        }
    }

    /// Answers another so many puts.
    pub(super) fn answer(&self, puts: usize) {
        self.answers.add_permits(puts);
    }

    /// Waits for a beat, which is on its way until the guard is dropped.
    pub(super) async fn hold_a_beat(&self) -> MutexGuard<'_, ()> {
        let held = self.beats.lock().await;
        self.beat_waits.notified().await;
        held
    }

    /// The same registry, as it answers others.
    pub(super) fn memory(&self) -> &MemoryRegistry {
        &self.memory
    }

    fn inner(&self) -> &dyn Rosters {
        &self.memory
    }
}

impl Registry for SlowRegistry {
    fn cluster(&self) -> &str {
        self.memory.cluster()
    }

    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome> {
        self.memory.join(request)
    }

    fn renew<'a>(
        &'a self,
        session: &'a NodeSession,
        report: NodeReport,
    ) -> RegistryFuture<'a, Renewal> {
        self.memory.renew(session, report)
    }

    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()> {
        self.memory.leave(session)
    }

    fn nodes(&self) -> RegistryFuture<'_, Vec<NodeInfo>> {
        self.memory.nodes()
    }

    fn claim<'a>(
        &'a self,
        session: &'a NodeSession,
        claims: &'a [Claim],
    ) -> RegistryFuture<'a, ClaimOutcomes> {
        self.memory.claim(session, claims)
    }

    fn release<'a>(
        &'a self,
        session: &'a NodeSession,
        releases: &'a [Release],
    ) -> RegistryFuture<'a, ReleaseOutcome> {
        self.memory.release(session, releases)
    }

    fn locate<'a>(&'a self, key: &'a str, fresh: bool) -> RegistryFuture<'a, Located> {
        self.memory.locate(key, fresh)
    }

    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<(ClientId, Stamp)>> {
        self.memory.ids_of(session, from)
    }

    fn rosters(&self) -> Option<&dyn Rosters> {
        Some(self)
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()> {
        self.memory.set(id, address)
    }

    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()> {
        self.memory.delete(id)
    }

    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64> {
        self.memory.delete_node(address)
    }

    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>> {
        self.memory.scan(from)
    }
}

impl Rosters for SlowRegistry {
    fn open<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, OpenReply> {
        self.inner().open(term)
    }

    fn beat<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, BeatReply> {
        Box::pin(async move {
            if self.beats.try_lock().is_err() {
                self.beat_waits.notify_one();
                let _held = self.beats.lock().await;
            }
            self.inner().beat(term).await
        })
    }

    fn put<'a>(&'a self, term: &'a Term, put: &'a Put) -> RegistryFuture<'a, PutReply> {
        Box::pin(async move {
            let answer = self.answers.acquire().await;
            answer.expect("it is never closed").forget();
            self.inner().put(term, put).await
        })
    }

    fn end<'a>(&'a self, term: &'a Term, after: Duration) -> RegistryFuture<'a, ()> {
        self.inner().end(term, after)
    }

    fn roster<'a>(
        &'a self,
        roster: &'a RosterName,
        most: usize,
    ) -> RegistryFuture<'a, RosterReply> {
        self.inner().roster(roster, most)
    }

    fn page<'a>(&'a self, roster: &'a RosterName, from: Cursor) -> RegistryFuture<'a, RosterPage> {
        self.inner().page(roster, from)
    }

    fn rosters(&self, kind: RosterKind, from: Cursor) -> RegistryFuture<'_, Page<RosterName>> {
        self.inner().rosters(kind, from)
    }

    fn read<'a>(&'a self, after: &'a Position) -> RegistryFuture<'a, JournalReply> {
        self.inner().read(after)
    }

    fn hook<'a>(
        &'a self,
        term: &'a Term,
        reached: Option<&'a Position>,
    ) -> RegistryFuture<'a, HookReply> {
        self.inner().hook(term, reached)
    }
}
