//! One roster that is followed: what the registry says, and what was told.

use std::sync::Arc;

use crate::{
    by_user::ByUser,
    roster::{JournalEntry, Member, Position, TransitionKind},
    types::Cursor,
};

pub(super) type Members = ByUser<Arc<str>>;

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
    truth: Members,
    /// Whether anything was told.
    pub(super) is_told: bool,
}

/// What goes on with a roster: with most of them, nothing most of the time.
#[derive(Debug, Default)]
pub(super) struct Busy {
    pub(super) reading: Option<Reading>,
    /// Who was told to be there, and may only be missing.
    lingering: Members,
    pending: Vec<Transition>,
}

impl Busy {
    /// Begins to read the roster again. What was told stays.
    pub(super) fn read_again(&mut self) {
        self.reading = Some(Reading::default());
    }

    /// Whether nothing goes on any more.
    pub(super) fn is_over(&self) -> bool {
        self.reading.is_none() && self.lingering.len() == 0 && self.pending.is_empty()
    }

    /// Who is missing is gone.
    pub(super) fn settle(&mut self) {
        for (user, info) in std::mem::take(&mut self.lingering).into_users() {
            self.tell(TransitionKind::Left, user, info);
        }
    }

    fn tell(&mut self, kind: TransitionKind, user: Arc<str>, info: Arc<str>) {
        let member = Member { user, info };
        self.pending.push(Transition { kind, member });
    }
}

impl Followed {
    /// Everybody who was told to be there.
    pub(super) fn shown(&self, busy: Option<&Busy>) -> Vec<Member> {
        let lingering = busy.into_iter().flat_map(|busy| busy.lingering.iter());
        let members = self.truth.iter().chain(lingering);
        let members = members.map(|(user, info)| Member {
            user: Arc::clone(user),
            info: Arc::clone(info),
        });
        members.collect()
    }

    /// Applies a transition of the journal.
    pub(super) fn apply(&mut self, busy: &mut Busy, entry: &JournalEntry, is_settling: bool) {
        if let Some(reading) = &mut busy.reading {
            reading.since.push(entry.clone());
            return;
        }
        if entry.kind != TransitionKind::Left {
            self.set(busy, &entry.user, &entry.info);
        } else if let Some((user, info)) = self.truth.remove(&entry.user) {
            if is_settling {
                busy.lingering.insert(user, info);
            } else {
                busy.tell(TransitionKind::Left, user, info);
            }
        }
    }

    /// A user is there.
    fn set(&mut self, busy: &mut Busy, user: &Arc<str>, info: &Arc<str>) {
        let told = self.truth.insert(Arc::clone(user), Arc::clone(info));
        let lingering = || busy.lingering.remove(user).map(|(_, info)| info);
        let kind = match told.or_else(lingering) {
            None => TransitionKind::Joined,
            Some(told) if told != *info => TransitionKind::Changed,
            Some(_) => return,
        };
        busy.tell(kind, Arc::clone(user), Arc::clone(info));
    }

    /// The reader is at this position: whether the roster has become known.
    pub(super) fn meet(&mut self, busy: &mut Busy, at: &Position, is_settling: bool) -> bool {
        let Some(reading) = &mut busy.reading else {
            return false;
        };
        reading.tails.retain(|tail| !at.has_reached(tail));
        if !reading.is_complete || !reading.tails.is_empty() {
            return false;
        }
        let Reading { members, since, .. } = busy.reading.take().unwrap_or_default();
        let mut truth = members;
        for entry in since {
            match entry.kind {
                TransitionKind::Left => _ = truth.remove(&entry.user),
                _ => _ = truth.insert(entry.user, entry.info),
            }
        }
        self.present(busy, truth, is_settling);
        true
    }

    /// The roster is known at the position of the view.
    fn present(&mut self, busy: &mut Busy, truth: Members, is_settling: bool) {
        if !self.is_told {
            self.truth = truth;
            return;
        }
        let before = std::mem::take(&mut self.truth);
        for (user, info) in before.into_users() {
            match truth.contains(&user) {
                true => _ = self.truth.insert(user, info),
                false if is_settling => _ = busy.lingering.insert(user, info),
                false => busy.tell(TransitionKind::Left, user, info),
            }
        }
        truth
            .iter()
            .for_each(|(user, info)| self.set(busy, user, info));
    }

    /// What is to be told.
    pub(super) fn take_update(&mut self, busy: &mut Busy) -> Option<Update> {
        if !self.is_told {
            if busy.reading.is_some() {
                return None;
            }
            self.is_told = true;
            busy.pending.clear();
            return Some(Update::Snapshot(self.shown(Some(busy))));
        }
        let pending = std::mem::take(&mut busy.pending);
        (!pending.is_empty()).then_some(Update::Transitions(pending))
    }
}
