//! The task of a dispatcher: takes the cluster's one place, reads the journal, and hands it on.
//!
//! Invariant: no more is noted in the registry than the dispatcher is done with, so nothing is left out. After a loss of
//! the registry's data, in which the place is lost too, it goes to the node that had it, as long as that is there: only
//! that node knows what it has told.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tieline_registry::{
    HookReply, JournalEntry, JournalReply, Position, RegistryError, RosterKind, RosterName, Term,
    TransitionKind, id,
};
use tokio::{sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    dispatcher::{Dispatcher, Dispatching, Mode, PresenceEvent},
    shared::Shared,
};

/// Between two reads of the journal at its end.
const POLL: Duration = Duration::from_millis(50);
/// Before events are handed on again, or a request is sent again; doubled each time.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// How long a node that has lost its term leaves the place to the one that had it. That one notices within two polls,
/// or as soon as the registry is back.
const PRECEDENCE: Duration = Duration::from_secs(2);

pub(super) struct DispatchTask<D> {
    shared: Arc<Shared>,
    dispatcher: D,
    mode: watch::Receiver<Mode>,
}

impl<D: Dispatcher> DispatchTask<D> {
    pub(super) fn start(shared: Arc<Shared>, dispatcher: D) -> Dispatching {
        let (sender, mode) = watch::channel(Mode::Taking);
        let task = Self {
            shared,
            dispatcher,
            mode,
        };
        Dispatching {
            mode: sender,
            task: AbortOnDropHandle::new(tokio::spawn(task.run())),
        }
    }

    /// Runs until it is ended or dropped.
    async fn run(self) {
        // No other node has been seen in the place since this one was.
        let mut had_place = false;
        let mut last = None;
        while self.is_taking() {
            let Some(term) = self.term() else {
                self.wait(POLL, Mode::Taking).await;
                continue;
            };
            let previous = last.replace(term.clone());
            if !had_place && previous.is_some_and(|previous| previous != term) {
                self.wait(PRECEDENCE, Mode::Taking).await;
                continue;
            }
            let pause = match self.serve(&term, &mut had_place).await {
                // It loses it within a lease if it dies.
                Ok(Served::Elsewhere) => (self.shared.lease / 3).min(Duration::from_secs(1)),
                Ok(Served::Lost) => POLL,
                Err(error) => {
                    tracing::debug!(%error, "failed to dispatch the changes of rosters");
                    RETRY[1] / 10
                }
            };
            self.wait(pause, Mode::Taking).await;
        }
    }

    fn is_taking(&self) -> bool {
        *self.mode.borrow() == Mode::Taking
    }

    /// Waits for this long, or until the mode is another one than was seen.
    async fn wait(&self, limit: Duration, seen: Mode) {
        let mut mode = self.mode.clone();
        drop(timeout(limit, mode.wait_for(|mode| *mode != seen)).await);
    }

    async fn ended(&self) {
        drop(
            self.mode
                .clone()
                .wait_for(|mode| *mode == Mode::Ended)
                .await,
        );
    }

    /// The term of the node, unless it drains.
    fn term(&self) -> Option<Term> {
        let is_draining = self.shared.is_draining.load(Relaxed);
        self.shared.term().filter(|_| !is_draining)
    }

    /// Takes the place, if it is free, and dispatches until it is lost.
    async fn serve(&self, term: &Term, had_place: &mut bool) -> Result<Served, RegistryError> {
        let taken = self.hook(term, None).await?;
        let (at, is_reset) = match taken {
            HookReply::Held(at) => (at, false),
            HookReply::Reset(at) => (at, true),
            HookReply::Busy => {
                *had_place = false;
                return Ok(Served::Elsewhere);
            }
            HookReply::Lost => {
                self.shared.doubt_term();
                return Ok(Served::Lost);
            }
        };
        *had_place = true;
        let served = self.serve_from(term, at, is_reset).await;
        self.dispatcher.handed_over();
        served.map(|()| Served::Lost)
    }

    async fn serve_from(
        &self,
        term: &Term,
        mut at: Position,
        is_reset: bool,
    ) -> Result<(), RegistryError> {
        let mut noted = None;
        if is_reset && !self.reset(&at).await {
            return Ok(());
        }
        let mut is_new = is_reset;
        loop {
            // Whoever has lost or ended its term has lost the place.
            if self.term().as_ref() != Some(term) {
                return Ok(());
            }
            // Before it is asked how far it is done: once it has ended, that is noted once more.
            let mode = *self.mode.borrow();
            let done = self.dispatcher.done(&at);
            if is_new || done != noted {
                match self.note(term, done.as_ref()).await {
                    Ok(true) => noted = done,
                    Ok(false) => return Ok(()),
                    // It keeps the place until it ends.
                    Err(error) if mode == Mode::Stopped => {
                        tracing::debug!(%error, "failed to note how far a dispatcher is done");
                        self.wait(RETRY[0], mode).await;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            match mode {
                Mode::Taking => {}
                Mode::Ended => return Ok(()),
                Mode::Stopped => {
                    is_new = false;
                    self.wait(POLL, mode).await;
                    continue;
                }
            }
            is_new = self.take_more(&mut at).await?;
        }
    }

    /// Reads the journal and hands on what is new. Whether there was anything.
    async fn take_more(&self, at: &mut Position) -> Result<bool, RegistryError> {
        let after = at.clone();
        let asked = self.shared.ask("read the journal", |rosters| {
            Box::pin(async move { rosters.read(&after).await })
        });
        match asked.await? {
            JournalReply::Entries { entries, reached } => {
                if entries.is_empty() {
                    self.wait(POLL, Mode::Taking).await;
                }
                let events: Vec<_> = entries.iter().filter_map(event).collect();
                if self.hand_on(&events).await {
                    *at = reached;
                }
                Ok(!entries.is_empty())
            }
            JournalReply::Broken => {
                let tail = self.tail().await?;
                if self.reset(&tail).await {
                    *at = tail;
                }
                Ok(true)
            }
        }
    }

    /// Says that what comes is complete again from a position on. Whether that was taken.
    async fn reset(&self, at: &Position) -> bool {
        let version = at.clone();
        self.hand_on(&[PresenceEvent::Reset { version }]).await
    }

    /// Hands events on, until they are taken. False if none are any more.
    async fn hand_on(&self, events: &[PresenceEvent]) -> bool {
        if events.is_empty() {
            return true;
        }
        let mut pause = RETRY[0];
        while self.is_taking() {
            let taken = tokio::select! {
                taken = self.dispatcher.dispatch(events) => taken,
                () = self.ended() => return false,
            };
            let Err(error) = taken else { return true };
            tracing::warn!(%error, "a dispatcher did not take the changes of rosters; it gets them again");
            let jittered = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
            self.wait(jittered, Mode::Taking).await;
            pause = (pause * 2).min(RETRY[1]);
        }
        false
    }

    /// Notes how far this dispatcher is done. False if another has taken the place.
    async fn note(&self, term: &Term, done: Option<&Position>) -> Result<bool, RegistryError> {
        Ok(match self.hook(term, done).await? {
            HookReply::Held(_) => true,
            // Nothing is noted yet.
            HookReply::Reset(_) => done.is_none(),
            HookReply::Busy | HookReply::Lost => false,
        })
    }

    async fn hook(&self, term: &Term, at: Option<&Position>) -> Result<HookReply, RegistryError> {
        let (term, at) = (term.clone(), at.cloned());
        let asked = self.shared.ask("take the dispatcher's place", |rosters| {
            Box::pin(async move { rosters.hook(&term, at.as_ref()).await })
        });
        asked.await
    }

    async fn tail(&self) -> Result<Position, RegistryError> {
        let asked = self.shared.ask("read a roster", |rosters| {
            let any = RosterName::new(RosterKind::Members, "");
            Box::pin(async move { rosters.roster(&any, 0).await })
        });
        Ok(asked.await?.tail)
    }
}

/// Why a node does not dispatch any more.
enum Served {
    /// Another node has the place.
    Elsewhere,
    /// The term is over, or the place was lost.
    Lost,
}

/// What a dispatcher is told of a transition; `None` if it is of no group.
fn event(entry: &JournalEntry) -> Option<PresenceEvent> {
    let (namespace, group) = id::split(entry.roster.group_key());
    let (namespace, group) = (Arc::from(namespace), Arc::from(group));
    let (user, info) = (Arc::clone(&entry.user), Arc::clone(&entry.info));
    let (members, version) = (entry.count, entry.position.clone());
    Some(match (entry.roster.kind(), entry.kind) {
        (RosterKind::Members, TransitionKind::Joined) => PresenceEvent::Joined {
            namespace,
            group,
            user,
            info,
            members,
            version,
        },
        (RosterKind::Members, TransitionKind::Left) => PresenceEvent::Left {
            namespace,
            group,
            user,
            members,
            version,
        },
        (RosterKind::Members, TransitionKind::Changed) => PresenceEvent::Changed {
            namespace,
            group,
            user,
            info,
            version,
        },
        (RosterKind::Occupancy, TransitionKind::Left) => PresenceEvent::Vacated {
            namespace,
            group,
            version,
        },
        (RosterKind::Occupancy, _) => PresenceEvent::Occupied {
            namespace,
            group,
            version,
        },
        _ => return None,
    })
}
