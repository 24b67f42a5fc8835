//! What the tasks of a presence share.
//!
//! Owns the table of what this node enters, who waits for a verdict, and the way to the registry. Must not know when
//! anything is sent. Invariant: a connection counts in the table from its `enter` to its `exit`, or until it is told
//! that the roster is full.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use parking_lot::Mutex;
use tieline_registry::{
    PutReply, Registry, RegistryError, RegistryErrorKind, RegistryFuture, RosterName, Rosters,
    Term,
    roster_table::{RosterTable, Verdict},
};
use tokio::{
    sync::{
        Notify,
        oneshot::{self, error::RecvError},
    },
    time::Instant,
};

use super::config::PresenceConfig;

pub(super) struct Shared {
    registry: Arc<dyn Registry>,
    pub(super) config: PresenceConfig,
    /// Of the cluster's nodes.
    pub(super) lease: Duration,
    /// Of each request to the registry.
    timeout: Duration,
    start: Instant,
    state: Mutex<State>,
    /// There is something to enter or to remove.
    pub(super) changed: Notify,
    /// There is something to read: the journal has grown by this node, or somebody begins to follow.
    pub(super) to_read: Notify,
    /// The registry does not answer.
    pub(super) is_away: AtomicBool,
    pub(super) is_draining: AtomicBool,
    /// The registry may know nothing of the term.
    is_term_doubted: AtomicBool,
    /// The node is about to drain: users whose connections end stay until then.
    pub(super) keeps_users: AtomicBool,
    /// In milliseconds.
    longest_grace: AtomicU64,
}

struct State {
    table: RosterTable,
    waiting: HashMap<Key, Vec<oneshot::Sender<Verdict>>>,
}

/// A user in a roster.
type Key = (RosterName, Arc<str>);

/// A connection that waits for a verdict. If it is dropped, the connection is one that was told nothing.
pub(super) struct Waiting<'a> {
    shared: &'a Shared,
    key: Key,
    limit: Option<u32>,
    verdict: oneshot::Receiver<Verdict>,
}

impl Future for Waiting<'_> {
    type Output = Result<Verdict, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.verdict).poll(context)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.verdict.close();
        // What was sent and not read was not heard: the connection will exit, as one that is pending.
        if self.verdict.try_recv() == Ok(Verdict::Full) {
            let (roster, user) = &self.key;
            let keep = |table: &mut RosterTable| table.keep_refused(roster, user, self.limit);
            self.shared.table(keep);
        }
    }
}

impl Shared {
    pub(super) fn new(
        registry: Arc<dyn Registry>,
        config: PresenceConfig,
        (lease, timeout): (Duration, Duration),
    ) -> Self {
        let shared = Self {
            registry,
            lease,
            timeout,
            start: Instant::now(),
            state: Mutex::new(State {
                table: RosterTable::new(config.members),
                waiting: HashMap::new(),
            }),
            changed: Notify::new(),
            to_read: Notify::new(),
            is_away: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
            is_term_doubted: AtomicBool::new(false),
            keeps_users: AtomicBool::new(false),
            longest_grace: AtomicU64::new(0),
            config,
        };
        shared.note_grace(shared.config.grace);
        shared
    }

    /// A handle has this grace.
    pub(super) fn note_grace(&self, grace: Duration) {
        let millis = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.longest_grace.fetch_max(millis, Relaxed);
    }

    /// The longest grace of all handles.
    pub(super) fn longest_grace(&self) -> Duration {
        Duration::from_millis(self.longest_grace.load(Relaxed))
    }

    /// The time of this node's state machines.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn table<T>(&self, f: impl FnOnce(&mut RosterTable) -> T) -> T {
        f(&mut self.state.lock().table)
    }

    pub(super) fn term(&self) -> Option<Term> {
        self.table(|table| table.term().cloned())
    }

    /// Has the term renewed at once, or another one begun: the registry said that it is over.
    pub(super) fn doubt_term(&self) {
        self.is_term_doubted.store(true, Relaxed);
        self.changed.notify_one();
    }

    /// Whether the term was doubted since the last call.
    pub(super) fn take_doubt(&self) -> bool {
        self.is_term_doubted.swap(false, Relaxed)
    }

    /// Enters a user. `None` if the entry stands already; else who is told the verdict.
    pub(super) fn enter(
        &self,
        roster: RosterName,
        (user, info): (Arc<str>, Arc<str>),
        limit: Option<u32>,
    ) -> Option<Waiting<'_>> {
        let mut state = self.state.lock();
        let own = (Arc::clone(&user), info);
        if state.table.enter_limited(&roster, own, limit) {
            return None;
        }
        let (sender, verdict) = oneshot::channel();
        let key = (roster, user);
        let waiting = state.waiting.entry(key.clone()).or_default();
        // Whoever has given up waiting is not to be remembered until the registry answers.
        waiting.retain(|sender: &oneshot::Sender<_>| !sender.is_closed());
        waiting.push(sender);
        drop(state);
        self.changed.notify_one();
        Some(Waiting {
            shared: self,
            key,
            limit,
            verdict,
        })
    }

    pub(super) fn exit(&self, roster: &RosterName, user: &str, after: Duration) {
        let due = self.now() + after;
        let mut state = self.state.lock();
        state.table.exit(roster, user, due);
        if state.table.connections(roster, user) == 0 {
            // Nobody waits any more, and a verdict may never come: the registry may not have been asked yet.
            state.waiting.remove(&(roster.clone(), user.into()));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The reply to a put: tells who waits. Under one lock, so that a verdict is for those who waited when it was
    /// given, and for nobody who comes meanwhile.
    pub(super) fn on_reply(&self, reply: Option<PutReply>, now: Duration) {
        let mut state = self.state.lock();
        for one in state.table.on_reply(reply, now) {
            let key = (one.roster, one.user);
            let waiting = state.waiting.remove(&key).into_iter().flatten();
            let told = waiting.filter_map(|sender| sender.send(one.verdict).ok());
            let told = told.count();
            if one.verdict == Verdict::Full {
                // They do not exit. Who does not wait any more was told that it is pending, and does.
                for _ in 0..told {
                    state.table.exit(&key.0, &key.1, Duration::ZERO);
                }
            }
        }
    }

    /// Lets a term end after a time.
    pub(super) async fn end(&self, term: Term, after: Duration) -> Result<(), RegistryError> {
        let ended = self.ask("end a term", |rosters| {
            Box::pin(async move { rosters.end(&term, after).await })
        });
        ended.await
    }

    /// Asks the registry, and notes whether it answers.
    pub(super) async fn ask<'a, T>(
        &'a self,
        operation: &'static str,
        request: impl FnOnce(&'a dyn Rosters) -> RegistryFuture<'a, T>,
    ) -> Result<T, RegistryError> {
        let rosters = self.registry.rosters().ok_or_else(|| {
            let kind = RegistryErrorKind::Misconfigured;
            RegistryError::of_kind(kind, operation, "it keeps no rosters")
        })?;
        let reply = RegistryError::with_timeout(self.timeout, operation, request(rosters)).await;
        self.is_away.store(reply.is_err(), Relaxed);
        reply
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tieline_registry::{ItemOutcome, MemoryRegistry, RosterKind};

    use super::*;

    /// Without the tasks, as while the registry does not answer.
    fn shared() -> Shared {
        let times = (Duration::from_secs(10), Duration::from_secs(1));
        let registry = Arc::new(MemoryRegistry::new());
        Shared::new(registry, PresenceConfig::default(), times)
    }

    fn lobby() -> RosterName {
        RosterName::new(RosterKind::Members, "lobby")
    }

    /// With a term.
    fn opened() -> Shared {
        let shared = shared();
        let term = Term::new(Duration::from_secs(10), Duration::ZERO);
        shared.table(|table| table.on_opened(term, 0));
        shared
    }

    fn enter(shared: &Shared) -> Option<Waiting<'_>> {
        shared.enter(lobby(), ("ada".into(), "".into()), Some(1))
    }

    /// What waits is put, and answered.
    fn reply(shared: &Shared, outcome: ItemOutcome) {
        let put = shared.table(|table| table.next_put(shared.now(), 9));
        let put = put.expect("somebody is to be entered");
        let outcomes = vec![outcome; put.items.len()];
        let stands = put.number;
        shared.on_reply(Some(PutReply::Done { stands, outcomes }), shared.now());
    }

    fn connections(shared: &Shared) -> u32 {
        shared.table(|table| table.connections(&lobby(), "ada"))
    }

    #[test]
    fn who_is_told_that_it_is_full_counts_no_longer_and_nobody_else() {
        let shared = opened();
        let pending = enter(&shared);
        let mut waits = [enter(&shared), enter(&shared)];
        drop(pending);
        reply(&shared, ItemOutcome::Full);
        for waits in &mut waits {
            let verdict = waits.as_mut().and_then(FutureExt::now_or_never);
            assert_eq!(verdict, Some(Ok(Verdict::Full)));
        }
        drop(waits);
        assert_eq!(connections(&shared), 1, "that of who was told nothing");
        // There is room now, and another is let in.
        let last = enter(&shared);
        reply(&shared, ItemOutcome::Done);
        assert_eq!(
            last.and_then(FutureExt::now_or_never),
            Some(Ok(Verdict::Entered))
        );
        shared.exit(&lobby(), "ada", Duration::ZERO);
        assert_eq!(connections(&shared), 1, "it stays a member");
        shared.exit(&lobby(), "ada", Duration::ZERO);
        reply(&shared, ItemOutcome::Done);
        assert!(shared.table(|table| table.is_empty()));
    }

    #[test]
    fn who_does_not_hear_that_it_is_full_exits_for_itself() {
        let shared = opened();
        let unheard = enter(&shared);
        reply(&shared, ItemOutcome::Full);
        assert_eq!(connections(&shared), 0);
        let last = enter(&shared);
        reply(&shared, ItemOutcome::Done);
        drop((unheard, last));
        assert_eq!(connections(&shared), 2);
        shared.exit(&lobby(), "ada", Duration::ZERO);
        assert_eq!(connections(&shared), 1, "the other stays a member");
    }

    #[test]
    fn who_comes_after_a_verdict_is_told_the_next_one() {
        let shared = opened();
        let first = enter(&shared);
        reply(&shared, ItemOutcome::Full);
        let second = enter(&shared);
        assert_eq!(
            first.and_then(FutureExt::now_or_never),
            Some(Ok(Verdict::Full))
        );
        reply(&shared, ItemOutcome::Full);
        assert_eq!(
            second.and_then(FutureExt::now_or_never),
            Some(Ok(Verdict::Full))
        );
        // Nobody is left whom the node would enter once there is room.
        assert!(shared.table(|table| table.is_empty()));
    }

    /// No verdict ever comes.
    #[tokio::test]
    async fn whoever_does_not_wait_any_more_is_forgotten() {
        let shared = shared();
        let roster = lobby();
        for number in 0..100 {
            let user = number.to_string();
            let verdict = shared
                .enter(roster.clone(), ((&*user).into(), "".into()), None)
                .unwrap();
            shared.exit(&roster, &user, Duration::ZERO);
            assert!(verdict.await.is_err());
        }
        assert!(shared.state.lock().waiting.is_empty());
        // Nor do those pile up who enter as one who stays.
        let enter = || shared.enter(roster.clone(), ("ada".into(), "".into()), None);
        let _waits = enter().unwrap();
        (0..100).for_each(|_| drop(enter()));
        let state = shared.state.lock();
        assert_eq!(state.waiting.values().map(Vec::len).sum::<usize>(), 2);
    }
}
