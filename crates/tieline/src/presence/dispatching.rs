//! The task of a dispatcher: takes the cluster's one place, reads the journal, and hands it on.
//!
//! Invariant: what was handed on is noted in the registry afterwards, so nothing is left out.

use std::{sync::Arc, time::Duration};

use tieline_registry::{
    HookReply, JournalEntry, JournalReply, Position, RegistryError, RosterKind, RosterName, Term,
    TransitionKind, id,
};
use tokio::time::sleep;

use super::{
    dispatcher::{Dispatcher, PresenceEvent},
    shared::Shared,
};

/// Between two reads of the journal at its end.
const POLL: Duration = Duration::from_millis(50);
/// Before events are handed on again, or a request is sent again; doubled each time.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

pub(super) struct DispatchTask<D> {
    shared: Arc<Shared>,
    dispatcher: D,
}

impl<D: Dispatcher> DispatchTask<D> {
    pub(super) fn new(shared: Arc<Shared>, dispatcher: D) -> Self {
        Self { shared, dispatcher }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(self) {
        loop {
            let pause = match self.shared.term() {
                None => POLL,
                Some(term) => match self.serve(&term).await {
                    // Another node has the place: it loses it within a lease if it dies.
                    Ok(()) => (self.shared.lease / 3).min(Duration::from_secs(1)),
                    Err(error) => {
                        tracing::debug!(%error, "failed to dispatch the changes of rosters");
                        RETRY[1] / 10
                    }
                },
            };
            sleep(pause).await;
        }
    }

    /// Takes the place, if it is free, and dispatches until it is lost.
    async fn serve(&self, term: &Term) -> Result<(), RegistryError> {
        let mut at = match self.hook(term, None).await? {
            HookReply::Held(at) => at,
            HookReply::Reset(at) => match self.reset(term, at).await? {
                Some(at) => at,
                None => return Ok(()),
            },
            HookReply::Busy | HookReply::Lost => return Ok(()),
        };
        loop {
            let after = at.clone();
            let asked = self.shared.ask("read the journal", |rosters| {
                Box::pin(async move { rosters.read(&after).await })
            });
            let next = match asked.await? {
                JournalReply::Entries { entries, reached } if entries.is_empty() => {
                    sleep(POLL).await;
                    // Whoever has lost its term has lost the place.
                    if self.shared.term().as_ref() != Some(term) {
                        return Ok(());
                    }
                    Some(reached)
                }
                JournalReply::Entries { entries, reached } => {
                    let events: Vec<_> = entries.iter().map(event).collect();
                    self.hand_on(&events).await;
                    self.note(term, reached).await?
                }
                JournalReply::Broken => {
                    let tail = self.tail().await?;
                    self.reset(term, tail).await?
                }
            };
            match next {
                Some(next) => at = next,
                None => return Ok(()),
            }
        }
    }

    /// Says that what comes is complete again from a position on.
    async fn reset(&self, term: &Term, at: Position) -> Result<Option<Position>, RegistryError> {
        let version = at.clone();
        self.hand_on(&[PresenceEvent::Reset { version }]).await;
        self.note(term, at).await
    }

    /// Hands events on, until they are taken.
    async fn hand_on(&self, events: &[PresenceEvent]) {
        let mut pause = RETRY[0];
        while let Err(error) = self.dispatcher.dispatch(events).await {
            tracing::warn!(%error, "a dispatcher did not take the changes of rosters; it gets them again");
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(RETRY[1]);
        }
    }

    /// Notes how far this dispatcher has come. `None` if another has taken the place.
    async fn note(&self, term: &Term, at: Position) -> Result<Option<Position>, RegistryError> {
        match self.hook(term, Some(at.clone())).await? {
            // The position that was read knows what stands there.
            HookReply::Held(_) => Ok(Some(at)),
            HookReply::Reset(_) | HookReply::Busy | HookReply::Lost => Ok(None),
        }
    }

    async fn hook(&self, term: &Term, at: Option<Position>) -> Result<HookReply, RegistryError> {
        let term = term.clone();
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

fn event(entry: &JournalEntry) -> PresenceEvent {
    let (namespace, group) = id::split(entry.roster.group_key());
    let (namespace, group) = (Arc::from(namespace), Arc::from(group));
    let (user, info) = (Arc::clone(&entry.user), Arc::clone(&entry.info));
    let (members, version) = (entry.count, entry.position.clone());
    match (entry.roster.kind(), entry.kind) {
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
        (_, TransitionKind::Left) => PresenceEvent::Vacated {
            namespace,
            group,
            version,
        },
        (_, _) => PresenceEvent::Occupied {
            namespace,
            group,
            version,
        },
    }
}
