//! Who is told about a roster.
//!
//! Invariant: what a subscriber has been told is a snapshot and every change after it, or it gets another snapshot.

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tieline_registry::{
    Position, RosterName,
    roster_view::{RosterView, Update},
};
use tokio::sync::mpsc;

use super::following::{Change, Follower};

/// Changes that wait for one stream. When it has fallen behind by more, it gets a snapshot instead of them.
pub(super) const QUEUE: usize = 256;

/// Who is told.
pub(super) enum Listener {
    Stream(mpsc::Sender<Change>),
    Follower(Weak<dyn Follower>),
}

impl Listener {
    /// Tells a change. False if it was not taken.
    fn tell(&self, change: &Change) -> bool {
        match self {
            Self::Stream(changes) => changes.try_send(change.clone()).is_ok(),
            Self::Follower(follower) => {
                if let Some(follower) = follower.upgrade() {
                    let told = AssertUnwindSafe(|| follower.on_change(change));
                    if catch_unwind(told).is_err() {
                        tracing::error!(
                            "a follower of a group has panicked; it may be out of date"
                        );
                    }
                }
                true
            }
        }
    }

    fn has_room(&self) -> bool {
        match self {
            Self::Stream(changes) => changes.capacity() > 0,
            Self::Follower(_) => true,
        }
    }

    fn is_gone(&self) -> bool {
        match self {
            Self::Stream(changes) => changes.is_closed(),
            Self::Follower(follower) => follower.strong_count() == 0,
        }
    }
}

/// Those who begin to follow, until the reader takes them in. Each of them exists in the application.
#[derive(Default)]
pub(super) struct Newcomers(Mutex<Vec<(RosterName, Listener)>>);

impl Newcomers {
    pub(super) fn add(&self, roster: RosterName, listener: Listener) {
        self.0.lock().push((roster, listener));
    }

    pub(super) fn take(&self) -> Vec<(RosterName, Listener)> {
        mem::take(&mut self.0.lock())
    }
}

struct Subscriber {
    listener: Listener,
    /// It needs a snapshot: it is new, or fell behind.
    is_behind: bool,
}

#[derive(Default)]
pub(super) struct Subscribers {
    of: HashMap<RosterName, Vec<Subscriber>>,
    /// Rosters with somebody who is behind.
    behind: BTreeSet<RosterName>,
}

impl Subscribers {
    pub(super) fn add(&mut self, roster: RosterName, listener: Listener) {
        self.behind.insert(roster.clone());
        let all = self.of.entry(roster).or_default();
        // Most have one.
        all.reserve_exact(1);
        all.push(Subscriber {
            listener,
            is_behind: true,
        });
    }

    /// Forgets who has gone. The rosters that nobody follows any more.
    pub(super) fn forget_gone(&mut self) -> Vec<RosterName> {
        let mut over = Vec::new();
        self.of.retain(|roster, all| {
            all.retain(|one| !one.listener.is_gone());
            if all.is_empty() {
                over.push(roster.clone());
            }
            !all.is_empty()
        });
        over
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Tells what the view has to tell.
    pub(super) fn tell(&mut self, view: &mut RosterView) {
        // While everything is read anew, there is nothing to tell yet.
        let Some(at) = view.position().cloned() else {
            return;
        };
        for (roster, update) in view.take_updates() {
            // Who is behind is told below; a first snapshot is for nobody else.
            if let (Update::Transitions(transitions), Some(all)) =
                (update, self.of.get_mut(&roster))
            {
                let transitions = transitions.into();
                let version = at.clone();
                let change = Change::Transitions {
                    transitions,
                    version,
                };
                for one in all.iter_mut().filter(|one| !one.is_behind) {
                    one.is_behind = !one.listener.tell(&change);
                    if one.is_behind {
                        self.behind.insert(roster.clone());
                    }
                }
            }
        }
        self.tell_behind(view, &at);
    }

    fn tell_behind(&mut self, view: &RosterView, at: &Position) {
        self.behind.retain(|roster| {
            let Some(all) = self.of.get_mut(roster) else {
                return false;
            };
            let behind = |one: &&mut Subscriber| one.is_behind && one.listener.has_room();
            let mut waiting = all.iter_mut().filter(behind).peekable();
            if waiting.peek().is_none() {
                return true;
            }
            let Some(members) = view.shown(roster) else {
                return true;
            };
            let (members, version): (Arc<[_]>, _) = (members.into(), at.clone());
            let change = Change::Snapshot { members, version };
            for one in waiting {
                one.is_behind = !one.listener.tell(&change);
            }
            all.iter().any(|one| one.is_behind)
        });
    }
}
