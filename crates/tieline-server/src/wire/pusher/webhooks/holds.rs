//! Who is there, as far as webhooks were told; and who has gone, but is given time to return.
//!
//! Owns what is told when: a return within the time is told no more than the going was. After a reset of the changes,
//! it tells the difference. Must not know webhooks, nor read the clock. Invariants: what is told of a subject
//! alternates, unless its going came from before this node's time; who goes first is told first; what is remembered
//! has a bound.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

/// Most subjects that are remembered as being there, at about 200 bytes each. Others are told as they come, and again
/// after a reset.
const MAX_THERE: usize = 1 << 18;

/// Most subjects that are given time at once. Others are told at once.
const MAX_HELD: usize = 1 << 16;

/// A channel, or a member of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Subject {
    pub(super) hub: Arc<str>,
    pub(super) channel: Arc<str>,
    pub(super) member: Option<Arc<str>>,
}

/// `R` is what ends when a subject that has gone is told, or returns.
#[derive(Debug)]
pub(super) struct Holds<R> {
    subjects: HashMap<Subject, State<R>>,
    /// In the order in which they are told.
    due: BTreeMap<Due, Subject>,
    next: u64,
    /// Another node may have told more since.
    is_stale: bool,
}

type Due = (Instant, u64);

#[derive(Debug)]
enum State<R> {
    There,
    Gone(Due, R),
}

impl<R> Default for Holds<R> {
    fn default() -> Self {
        Self {
            subjects: HashMap::new(),
            due: BTreeMap::new(),
            next: 0,
            is_stale: false,
        }
    }
}

impl<R> Holds<R> {
    /// A subject has come. Whether to tell it.
    pub(super) fn come(&mut self, subject: &Subject) -> bool {
        match self.subjects.get_mut(subject) {
            Some(State::There) => return false,
            Some(state @ State::Gone(..)) => {
                if let State::Gone(due, _) = std::mem::replace(state, State::There) {
                    self.due.remove(&due);
                }
                return false;
            }
            None => {}
        }
        if self.subjects.len() < MAX_THERE {
            self.subjects.insert(subject.clone(), State::There);
        }
        true
    }

    /// A subject has gone, which is told at this time. Returns the receipt if it is to be told at once.
    pub(super) fn go(&mut self, subject: Subject, at: Instant, receipt: R) -> Option<R> {
        if let Some(State::Gone(..)) = self.subjects.get(&subject) {
            return None;
        }
        if self.due.len() >= MAX_HELD {
            self.subjects.remove(&subject);
            return Some(receipt);
        }
        let due = (at, self.next);
        self.next += 1;
        self.due.insert(due, subject.clone());
        self.subjects.insert(subject, State::Gone(due, receipt));
        None
    }

    /// A subject has gone, and nobody wants to know: whenever it comes again, that is new.
    pub(super) fn forget(&mut self, subject: &Subject) {
        if let Some(State::Gone(due, _)) = self.subjects.remove(subject) {
            self.due.remove(&due);
        }
    }

    /// Whether a reset would tell everybody who is there.
    pub(super) fn know_nobody(&self) -> bool {
        self.is_stale || self.subjects.is_empty()
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
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Subject, R)> {
        let first = self.due.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let subject = first.remove();
        match self.subjects.remove(&subject)? {
            State::Gone(_, receipt) => Some((subject, receipt)),
            State::There => None,
        }
    }

    /// The changes go on elsewhere, or come again: whoever has gone may be told by another node.
    pub(super) fn suspend(&mut self) {
        self.is_stale = true;
        self.due.clear();
        let states = self.subjects.values_mut();
        states.for_each(|state| *state = State::There);
    }

    /// The changes go on here, with nothing left out.
    pub(super) fn resume(&mut self) {
        if std::mem::take(&mut self.is_stale) {
            *self = Self::default();
        }
    }

    /// Some changes were left out, and these subjects are there. Returns what to tell; whoever is not there any more
    /// has `time` to return, as all have to come again after the registry has lost its data.
    pub(super) fn reset(
        &mut self,
        there: &[Subject],
        (now, time): (Instant, Duration),
        receipt: impl Fn() -> R,
    ) -> Vec<Subject> {
        let is_stale = std::mem::take(&mut self.is_stale);
        let is_new = |holds: &mut Self, subject: &Subject| holds.come(subject) || is_stale;
        let told = there.iter().filter(|subject| is_new(self, subject));
        let told = told.cloned().collect();
        let there: HashSet<_> = there.iter().collect();
        let subjects = self.subjects.keys();
        let missing = subjects.filter(|subject| !there.contains(subject));
        let mut missing: Vec<_> = missing.cloned().collect();
        // The members of a channel before the channel.
        missing.sort_unstable_by(|a, b| b.cmp(a));
        for subject in missing {
            self.go(subject, now + time, receipt());
        }
        told
    }
}

#[cfg(test)]
mod tests;
