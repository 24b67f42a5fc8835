//! Who is there, as far as webhooks were told; and who has gone, but is given time to return.
//!
//! Owns what is told when: a return within the time is told no more than the going was. After a reset of the changes,
//! it tells the difference. Must not know webhooks, nor read the clock. Invariants: what is told of a subject
//! alternates while this node alone tells; once another node may have told of it, its coming and its going are told
//! again rather than left out; who goes first is told first; what is remembered has a bound.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;

/// Most subjects that are remembered as being there, at about 200 bytes each. Others are told as they come, and again
/// after a reset.
const MAX_THERE: usize = 1 << 18;

/// Most subjects that are given time at once. Others are told at once. After a reset, all that are remembered may be.
const MAX_HELD: usize = 1 << 16;

/// A channel, or a member of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Subject {
    pub(super) hub: Arc<str>,
    pub(super) channel: Arc<str>,
    pub(super) member: Option<Arc<str>>,
}

/// `R` is the receipt of a change: its last holder has told what follows from it.
#[derive(Debug)]
pub(super) struct Holds<R> {
    subjects: HashMap<Subject, State<R>>,
    /// In the order in which they are told.
    due: BTreeMap<Due, Subject>,
    next: u64,
    going: Going<R>,
    /// Some subjects may be unsure.
    has_unsure: bool,
}

type Due = (Instant, u64);

#[derive(Debug)]
enum State<R> {
    /// Receivers know that it is there.
    There,
    /// They knew, or may know; another node may have told them that it is gone.
    Unsure,
    Gone(Gone<R>),
}

#[derive(Debug)]
struct Gone<R> {
    due: Due,
    receipt: Arc<R>,
    /// Receivers know that it was there.
    is_known: bool,
}

impl<R> State<R> {
    fn is_known(&self) -> bool {
        match self {
            Self::There => true,
            Self::Unsure => false,
            Self::Gone(gone) => gone.is_known,
        }
    }
}

impl<R> Default for Holds<R> {
    fn default() -> Self {
        Self {
            subjects: HashMap::new(),
            due: BTreeMap::new(),
            next: 0,
            going: Going::default(),
            has_unsure: false,
        }
    }
}

impl<R> Holds<R> {
    /// A subject has come. Whether to tell it.
    pub(super) fn come(&mut self, subject: &Subject) -> bool {
        let Some(state) = self.subjects.get_mut(subject) else {
            if self.has_room() {
                self.subjects.insert(subject.clone(), State::There);
            }
            return true;
        };
        let before = std::mem::replace(state, State::There);
        if let State::Gone(gone) = &before {
            self.due.remove(&gone.due);
        }
        !before.is_known()
    }

    /// Whether one more can be remembered. Those of whom another node tells make room.
    fn has_room(&mut self) -> bool {
        if self.subjects.len() >= MAX_THERE && std::mem::take(&mut self.has_unsure) {
            self.subjects
                .retain(|_, state| !matches!(state, State::Unsure));
        }
        self.subjects.len() < MAX_THERE
    }

    /// A subject has gone, which is told at this time. Returns the receipt if it is to be told at once.
    pub(super) fn go(&mut self, subject: Subject, at: Instant, receipt: Arc<R>) -> Option<Arc<R>> {
        if let Some(State::Gone(..)) = self.subjects.get(&subject) {
            return None;
        }
        if self.due.len() >= MAX_HELD {
            self.subjects.remove(&subject);
            self.going.add(subject, &receipt);
            return Some(receipt);
        }
        self.hold(subject, at, receipt);
        None
    }

    /// A subject is told to have gone at this time, whenever that was before.
    fn hold(&mut self, subject: Subject, at: Instant, receipt: Arc<R>) {
        let due = (at, self.next);
        self.next += 1;
        self.due.insert(due, subject.clone());
        let state = self.subjects.entry(subject).or_insert(State::Unsure);
        if let State::Gone(gone) = state {
            self.due.remove(&gone.due);
        }
        *state = State::Gone(Gone {
            due,
            receipt,
            is_known: state.is_known(),
        });
    }

    /// A subject has gone, and nobody wants to know: whenever it comes again, that is new.
    pub(super) fn forget(&mut self, subject: &Subject) {
        if let Some(State::Gone(gone)) = self.subjects.remove(subject) {
            self.due.remove(&gone.due);
        }
    }

    /// Whether a reset would tell everybody who is there.
    pub(super) fn know_nobody(&self) -> bool {
        !self.subjects.values().any(State::is_known)
    }

    /// Those who have gone, which is not told yet.
    pub(super) fn held(&self) -> impl Iterator<Item = &Subject> {
        self.due.values()
    }

    /// When the next one is told.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next one to tell, if its time has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Subject, Arc<R>)> {
        let first = self.due.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let subject = first.remove();
        match self.subjects.remove(&subject)? {
            State::Gone(Gone { receipt, .. }) => {
                self.going.add(subject.clone(), &receipt);
                Some((subject, receipt))
            }
            State::There | State::Unsure => None,
        }
    }

    /// The changes go on elsewhere, or come again: another node may tell who comes and goes, and what this one was about
    /// to tell it does not tell any more. Call it while that is not dropped yet.
    pub(super) fn suspend(&mut self) {
        self.due.clear();
        let states = self.subjects.values_mut();
        states.for_each(|state| *state = State::Unsure);
        let untold = self.going.take_untold();
        self.subjects
            .extend(untold.map(|subject| (subject, State::Unsure)));
        self.has_unsure = true;
    }

    /// Some changes were left out, and these subjects are there. Returns what to tell; whoever is not there any more
    /// has `time` to return, as all have to come again after the registry has lost its data.
    pub(super) fn reset(
        &mut self,
        there: &[Subject],
        (now, time): (Instant, Duration),
        receipt: &Arc<R>,
    ) -> Vec<Subject> {
        let told = there.iter().filter(|subject| self.come(subject));
        let told = told.cloned().collect();
        let there: HashSet<_> = there.iter().collect();
        let subjects = self.subjects.keys();
        let missing = subjects.filter(|subject| !there.contains(subject));
        let mut missing: Vec<_> = missing.cloned().collect();
        // The members of a channel before the channel.
        missing.sort_unstable_by(|a, b| b.cmp(a));
        for subject in missing {
            self.hold(subject, now + time, Arc::clone(receipt));
        }
        told
    }
}

/// Who is being told to have gone: that is done once nobody holds the receipt.
#[derive(Debug)]
struct Going<R> {
    all: Vec<(Subject, Weak<R>)>,
    /// At how many those are left out that are done.
    limit: usize,
}

impl<R> Default for Going<R> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            limit: 0,
        }
    }
}

impl<R> Going<R> {
    fn add(&mut self, subject: Subject, receipt: &Arc<R>) {
        if self.all.len() >= self.limit {
            self.all.retain(|(_, receipt)| receipt.strong_count() > 0);
            self.limit = 64.max(self.all.len() * 2);
        }
        self.all.push((subject, Arc::downgrade(receipt)));
    }

    fn take_untold(&mut self) -> impl Iterator<Item = Subject> + use<R> {
        let all = std::mem::take(self).all.into_iter();
        all.filter_map(|(subject, receipt)| (receipt.strong_count() > 0).then_some(subject))
    }
}

#[cfg(test)]
mod tests;
