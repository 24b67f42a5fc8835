//! What the tasks of a presence share.
//!
//! Owns the table of what this node enters, who waits for a verdict, and the way to the registry. Must not know when
//! anything is sent.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tieline_registry::{
    Registry, RegistryError, RegistryErrorKind, RegistryFuture, RosterName, Rosters, Term,
    roster_table::{RosterTable, Settled, Verdict},
};
use tokio::{
    sync::{Notify, oneshot},
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
    /// In milliseconds.
    longest_grace: AtomicU64,
}

struct State {
    table: RosterTable,
    waiting: HashMap<(RosterName, Arc<str>), Vec<oneshot::Sender<Verdict>>>,
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

    /// Enters a user. `None` if the entry stands already; else who is told the verdict.
    pub(super) fn enter(
        &self,
        roster: RosterName,
        (user, info): (&str, &str),
        limit: Option<u32>,
    ) -> Option<oneshot::Receiver<Verdict>> {
        let mut state = self.state.lock();
        if state.table.enter_limited(&roster, (user, info), limit) {
            return None;
        }
        let (sender, verdict) = oneshot::channel();
        let waiting = state.waiting.entry((roster, user.into())).or_default();
        // Whoever has given up waiting is not to be remembered until the registry answers.
        waiting.retain(|sender: &oneshot::Sender<_>| !sender.is_closed());
        waiting.push(sender);
        drop(state);
        self.changed.notify_one();
        Some(verdict)
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

    /// Tells who waits what was decided.
    pub(super) fn settle(&self, settled: Vec<Settled>) {
        let mut state = self.state.lock();
        for one in settled {
            let waiting = state.waiting.remove(&(one.roster, one.user));
            for sender in waiting.into_iter().flatten() {
                // Who does not wait any more was told that it is pending.
                let _ = sender.send(one.verdict);
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
    use tieline_registry::{MemoryRegistry, RosterKind};

    use super::*;

    /// Without the tasks, as while the registry does not answer: no verdict ever comes.
    #[tokio::test]
    async fn whoever_does_not_wait_any_more_is_forgotten() {
        let times = (Duration::from_secs(10), Duration::from_secs(1));
        let registry = Arc::new(MemoryRegistry::new());
        let shared = Shared::new(registry, PresenceConfig::default(), times);
        let roster = RosterName::new(RosterKind::Members, "lobby");
        for number in 0..100 {
            let user = number.to_string();
            let verdict = shared.enter(roster.clone(), (&user, ""), None).unwrap();
            shared.exit(&roster, &user, Duration::ZERO);
            assert!(verdict.await.is_err());
        }
        assert!(shared.state.lock().waiting.is_empty());
        // Nor do those pile up who enter as one who stays.
        let _waits = shared.enter(roster.clone(), ("ada", ""), None).unwrap();
        (0..100).for_each(|_| drop(shared.enter(roster.clone(), ("ada", ""), None)));
        let state = shared.state.lock();
        assert_eq!(state.waiting.values().map(Vec::len).sum::<usize>(), 2);
    }
}
