//! Who is told about a roster.
//!
//! Invariant: what a subscriber has been told is a snapshot and every change after it, or it gets another snapshot.

use std::{collections::HashMap, sync::Arc};

use tieline_registry::{
    Position, RosterName,
    roster_view::{RosterView, Update},
};
use tokio::sync::mpsc;

use super::following::Change;

/// Changes that wait for one subscriber. When it has fallen behind by more, it gets a snapshot instead of them.
pub(super) const QUEUE: usize = 256;

struct Subscriber {
    changes: mpsc::Sender<Change>,
    /// It needs a snapshot: it is new, or fell behind.
    is_behind: bool,
}

#[derive(Default)]
pub(super) struct Subscribers {
    of: HashMap<RosterName, Vec<Subscriber>>,
}

impl Subscribers {
    pub(super) fn add(&mut self, roster: RosterName, changes: mpsc::Sender<Change>) {
        let is_behind = true;
        let all = self.of.entry(roster).or_default();
        all.push(Subscriber { changes, is_behind });
    }

    /// Forgets who has gone. The rosters that nobody follows any more.
    pub(super) fn forget_gone(&mut self) -> Vec<RosterName> {
        let mut over = Vec::new();
        self.of.retain(|roster, all| {
            all.retain(|one| !one.changes.is_closed());
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
                    one.is_behind = one.changes.try_send(change.clone()).is_err();
                }
            }
        }
        self.tell_behind(view, &at);
    }

    fn tell_behind(&mut self, view: &RosterView, at: &Position) {
        for (roster, all) in &mut self.of {
            let behind = |one: &&mut Subscriber| one.is_behind && one.changes.capacity() > 0;
            let mut waiting = all.iter_mut().filter(behind).peekable();
            if waiting.peek().is_none() {
                continue;
            }
            let Some(members) = view.shown(roster) else {
                continue;
            };
            let (members, version): (Arc<[_]>, _) = (members.into(), at.clone());
            let change = Change::Snapshot { members, version };
            for one in waiting {
                one.is_behind = one.changes.try_send(change.clone()).is_err();
            }
        }
    }
}
