//! One roster that is followed: what the registry says, and what was told.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    roster::{JournalEntry, Member, Position, TransitionKind},
    types::Cursor,
};

pub(super) type Members = BTreeMap<Arc<str>, Arc<str>>;

/// A change of a roster, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// What happened.
    pub kind: TransitionKind,
    /// To whom, with the information about the user: of one who has gone, the last that was told.
    pub member: Member,
}

/// What is told of one roster at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// All members: what is told first.
    Snapshot(Vec<Member>),
    /// What has changed since, in order.
    Transitions(Vec<Transition>),
}

/// A roster that is being read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) members: Members,
    /// Where the next page begins; `None` if the last one is read.
    pub(super) next: Option<Cursor>,
    pub(super) is_complete: bool,
    /// The ends of the journal that came with the pages, and that the reader has not met.
    pub(super) tails: Vec<Position>,
    /// What the journal told since the reading began. It may be older than a page: then the page has it already,
    /// and applying it again, with all that follows, changes nothing.
    pub(super) since: Vec<JournalEntry>,
}

impl Reading {
    /// Whether nothing of the roster is read yet.
    pub(super) fn is_unread(&self) -> bool {
        self.next.is_none() && !self.is_complete
    }
}

#[derive(Debug, Default)]
pub(super) struct Followed {
    /// At the position of the view, unless it is being read.
    pub(super) truth: Members,
    /// Who was told to be there, and may only be missing.
    pub(super) lingering: Members,
    /// Whether anything was told.
    pub(super) is_told: bool,
    pub(super) reading: Option<Reading>,
    pub(super) pending: Vec<Transition>,
}

impl Followed {
    /// Everybody who was told to be there.
    pub(super) fn shown(&self) -> Vec<Member> {
        let all = self.truth.iter().chain(&self.lingering);
        let members = all.map(|(user, info)| Member {
            user: Arc::clone(user),
            info: Arc::clone(info),
        });
        members.collect()
    }

    /// Begins to read it again. What was told stays.
    pub(super) fn read_again(&mut self) {
        self.reading = Some(Reading::default());
    }

    /// Applies a transition of the journal.
    pub(super) fn apply(&mut self, entry: &JournalEntry, is_settling: bool) {
        if let Some(reading) = &mut self.reading {
            reading.since.push(entry.clone());
            return;
        }
        match entry.kind {
            TransitionKind::Left if is_settling => {
                if let Some((user, info)) = self.truth.remove_entry(&entry.user) {
                    self.lingering.insert(user, info);
                }
            }
            TransitionKind::Left => {
                if let Some((user, info)) = self.truth.remove_entry(&entry.user) {
                    self.tell(TransitionKind::Left, user, info);
                }
            }
            TransitionKind::Joined | TransitionKind::Changed => {
                self.set(&entry.user, &entry.info);
            }
        }
    }

    /// A user is there.
    fn set(&mut self, user: &Arc<str>, info: &Arc<str>) {
        let told = self.truth.insert(Arc::clone(user), Arc::clone(info));
        let told = told.or_else(|| self.lingering.remove(user));
        let kind = match told {
            None => TransitionKind::Joined,
            Some(told) if told != *info => TransitionKind::Changed,
            Some(_) => return,
        };
        self.tell(kind, Arc::clone(user), Arc::clone(info));
    }

    fn tell(&mut self, kind: TransitionKind, user: Arc<str>, info: Arc<str>) {
        let member = Member { user, info };
        self.pending.push(Transition { kind, member });
    }

    /// The reader is at this position: whether the roster has become known.
    pub(super) fn meet(&mut self, at: &Position, is_settling: bool) -> bool {
        let Some(reading) = &mut self.reading else {
            return false;
        };
        reading.tails.retain(|tail| !at.has_reached(tail));
        if !reading.is_complete || !reading.tails.is_empty() {
            return false;
        }
        let Reading { members, since, .. } = self.reading.take().unwrap_or_default();
        let mut truth = members;
        for entry in since {
            match entry.kind {
                TransitionKind::Left => _ = truth.remove(&entry.user),
                _ => _ = truth.insert(entry.user, entry.info),
            }
        }
        self.present(truth, is_settling);
        true
    }

    /// The roster is known at the position of the view.
    fn present(&mut self, truth: Members, is_settling: bool) {
        if !self.is_told {
            self.truth = truth;
            return;
        }
        let before = std::mem::take(&mut self.truth);
        for (user, info) in before {
            match truth.contains_key(&user) {
                true => _ = self.truth.insert(user, info),
                false if is_settling => _ = self.lingering.insert(user, info),
                false => self.tell(TransitionKind::Left, user, info),
            }
        }
        truth.iter().for_each(|(user, info)| self.set(user, info));
    }

    /// Who is missing is gone.
    pub(super) fn settle(&mut self) {
        for (user, info) in std::mem::take(&mut self.lingering) {
            self.tell(TransitionKind::Left, user, info);
        }
    }

    /// What is to be told.
    pub(super) fn take_update(&mut self) -> Option<Update> {
        if !self.is_told {
            if self.reading.is_some() {
                return None;
            }
            self.is_told = true;
            self.pending.clear();
            return Some(Update::Snapshot(self.shown()));
        }
        let pending = std::mem::take(&mut self.pending);
        (!pending.is_empty()).then_some(Update::Transitions(pending))
    }
}
