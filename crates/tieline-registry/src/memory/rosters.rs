//! The rosters of the registry in memory, and what each operation does to them.
//!
//! Knows no clock: callers pass the time, in µs. Invariants: a user is in a roster as often as there are terms that
//! have an entry of it; a change of who is in a roster and its transition in the journal are one step.

mod readers;
mod terms;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use uuid::Uuid;

use self::terms::{TermNumber, Terms};
use crate::{
    by_user::ByUser,
    roster::{
        BeatReply, ItemOutcome, JournalEntry, OpenReply, Position, Pulse, Put, PutItem, PutOp,
        PutReply, RosterName, TendReply, Term, TransitionKind,
    },
};

/// The transitions that are kept.
const JOURNAL: usize = 65_536;

/// Entries that one call of `tend` removes.
const CHUNK: usize = 512;

/// Places are never used again, not even after a restore, so a place alone tells what stands there.
static NEXT_PLACE: AtomicU64 = AtomicU64::new(1);

type Entry = (RosterName, Arc<str>);

#[derive(Debug, Clone, Default)]
pub(super) struct Rosters {
    terms: HashMap<Uuid, TermState>,
    /// That of the next term.
    next_term: TermNumber,
    /// Terms that are over, with what is left to remove.
    buried: BTreeMap<Uuid, (TermNumber, BTreeSet<Entry>)>,
    members: BTreeMap<RosterName, ByUser<Seat>>,
    journal: VecDeque<Recorded>,
    /// Who is the dispatcher, and how far it has come.
    hook: Option<(Uuid, Option<Position>)>,
    /// The last beat or tending, and until when nobody goes, in µs.
    last: u64,
    hold: u64,
    /// The data was lost: the journal that begins next is not the first.
    lost: bool,
}

#[derive(Debug, Clone)]
struct TermState {
    own: TermNumber,
    /// When the lease runs out, in µs.
    expiry: u64,
    /// That of its last put.
    number: u64,
    /// How many it has.
    entries: u64,
}

/// One member.
#[derive(Debug, Clone)]
struct Seat {
    /// Whose entries it has. What a term has is looked for when it ends: a list for each would take as much again.
    terms: Terms,
    info: Arc<str>,
}

/// A transition, or the mark with which a journal begins.
#[derive(Debug, Clone)]
struct Recorded {
    place: u64,
    transition: Option<Transition>,
}

/// An entry of the journal but for its place: there may be many of them, in any process with a sole node.
#[derive(Debug, Clone)]
struct Transition {
    kind: TransitionKind,
    /// How many members there are from then on.
    count: u32,
    roster: RosterName,
    user: Arc<str>,
    info: Arc<str>,
}

impl Recorded {
    fn entry(&self) -> Option<JournalEntry> {
        let one = self.transition.as_ref()?;
        Some(JournalEntry {
            position: position(self.place),
            kind: one.kind,
            roster: one.roster.clone(),
            user: Arc::clone(&one.user),
            info: Arc::clone(&one.info),
            count: one.count.into(),
        })
    }
}

/// A term's life.
impl Rosters {
    /// Replaces the data. Nothing instead of something is a loss.
    pub(super) fn replace(&mut self, with: Self) {
        let lost = with.journal.is_empty() && !self.journal.is_empty();
        *self = with;
        self.lost |= lost;
    }

    pub(super) fn open(&mut self, term: &Term, now: u64) -> OpenReply {
        if self.buried.contains_key(&term.name) {
            return OpenReply::Lost;
        }
        let expiry = now.saturating_add(micros(term.time_to_live()));
        let state = self.terms.entry(term.name).or_insert_with(|| {
            let own = self.next_term;
            self.next_term += 1;
            TermState {
                own,
                expiry,
                number: 0,
                entries: 0,
            }
        });
        state.expiry = expiry;
        let stands = state.number;
        if self.journal.is_empty() {
            self.last = now;
            if self.lost {
                self.hold = now.saturating_add(micros(term.lease));
            }
            self.record(None);
        }
        let tail = self.tail();
        OpenReply::Opened { stands, tail }
    }

    pub(super) fn beat(&mut self, term: &Term, now: u64) -> BeatReply {
        self.pulse(term.lease, now);
        self.last = now;
        let (tail, hold) = (self.tail(), self.hold.saturating_sub(now));
        let Some(state) = self.terms.get_mut(&term.name) else {
            return BeatReply::Lost;
        };
        state.expiry = now.saturating_add(micros(term.time_to_live()));
        BeatReply::Renewed(Pulse {
            stands: state.number,
            tail,
            entries: Some(state.entries),
            hold: Duration::from_micros(hold),
        })
    }

    /// Notices that the registry stood still.
    fn pulse(&mut self, lease: Duration, now: u64) {
        let lease = micros(lease);
        if now.saturating_sub(self.last) > lease / 2 {
            self.hold = now.saturating_add(lease);
            self.last = now;
        }
    }

    pub(super) fn end(&mut self, term: &Term, after: Duration, now: u64) {
        if after.is_zero() {
            self.bury(term.name);
        } else if let Some(state) = self.terms.get_mut(&term.name) {
            state.expiry = now.saturating_add(micros(after));
        }
    }

    fn bury(&mut self, name: Uuid) {
        if let Some(TermState { own: term, .. }) = self.terms.remove(&name) {
            let rosters = self.members.iter();
            let entries = rosters.flat_map(|(roster, seats)| {
                let own = seats.iter().filter(|(_, seat)| seat.terms.contains(term));
                own.map(|(user, _)| (roster.clone(), Arc::clone(user)))
            });
            self.buried.insert(name, (term, entries.collect()));
        }
    }

    pub(super) fn tend(&mut self, lease: Duration, now: u64) -> TendReply {
        self.pulse(lease, now);
        self.last = now;
        if self.hold > now {
            return TendReply::Held(Duration::from_micros(self.hold - now));
        }
        let expired = self.terms.iter().filter(|(_, state)| state.expiry <= now);
        let expired: Vec<_> = expired.map(|(name, _)| *name).collect();
        expired.into_iter().for_each(|name| self.bury(name));
        if let Some(mut first) = self.buried.first_entry() {
            let (term, entries) = first.get_mut();
            let term = *term;
            let chunk: Vec<_> = (0..CHUNK).map_while(|_| entries.pop_first()).collect();
            if entries.is_empty() {
                first.remove();
            }
            for (roster, user) in chunk {
                self.leave(term, &roster, &user);
            }
        }
        let left = u64::try_from(self.buried.len()).unwrap_or(u64::MAX);
        TendReply::Done { left }
    }
}

/// Entries, and the journal.
impl Rosters {
    pub(super) fn put(&mut self, term: &Term, put: &Put, now: u64) -> PutReply {
        let Some(state) = self.terms.get_mut(&term.name) else {
            return PutReply::Lost;
        };
        if state.number < put.acknowledged {
            return PutReply::Loss;
        }
        if put.number <= state.number {
            let stands = state.number;
            return PutReply::Stale { stands };
        }
        state.number = put.number;
        self.pulse(term.lease, now);
        let items = put.items.iter();
        let outcomes = items
            .map(|item| self.put_item(term, item, put.limit, now))
            .collect();
        PutReply::Done {
            stands: put.number,
            outcomes,
        }
    }

    fn put_item(
        &mut self,
        term: &Term,
        item: &PutItem,
        limit: Option<u32>,
        now: u64,
    ) -> ItemOutcome {
        let seats = self.members.get(&item.roster);
        let seat = seats.and_then(|seats| seats.get(&item.user));
        let Some(state) = self.terms.get_mut(&term.name) else {
            return ItemOutcome::Done;
        };
        let own = state.own;
        let is_new = !seat.is_some_and(|seat| seat.terms.contains(own));
        if item.op == PutOp::Leave {
            if self.hold > now && seat.is_some_and(|seat| seat.terms.is_only(own)) {
                return ItemOutcome::Later;
            }
            if !is_new {
                state.entries -= 1;
                self.leave(own, &item.roster, &item.user);
            }
            return ItemOutcome::Done;
        }
        let size = seats.map_or(0, ByUser::len);
        let is_full = limit.is_some_and(|limit| size >= limit as usize);
        if item.op == PutOp::Enter && seat.is_none() && is_full {
            return ItemOutcome::Full;
        }
        state.entries += u64::from(is_new);
        if item.op == PutOp::Reenter && is_new && self.hold > now {
            // Somebody is still entering what was lost.
            self.hold = self.hold.max(now.saturating_add(micros(term.lease) / 3));
        }
        self.enter(own, item);
        ItemOutcome::Done
    }

    fn enter(&mut self, term: TermNumber, item: &PutItem) {
        let seats = self.members.entry(item.roster.clone()).or_default();
        let kind = match seats.get_mut(&item.user) {
            None => {
                let (terms, info) = (Terms::One(term), Arc::clone(&item.info));
                seats.insert(Arc::clone(&item.user), Seat { terms, info });
                Some(TransitionKind::Joined)
            }
            Some(seat) => {
                seat.terms.insert(term);
                let says = !item.info.is_empty() && seat.info != item.info;
                // Who is entered again does not replace what others have said since.
                let changes = says && (item.op == PutOp::Enter || seat.info.is_empty());
                changes.then(|| {
                    seat.info = Arc::clone(&item.info);
                    TransitionKind::Changed
                })
            }
        };
        let count = seats.len();
        if let Some(kind) = kind {
            self.tell(kind, &item.roster, &item.user, &item.info, count);
        }
    }

    /// The entry that a term has of a user is gone.
    fn leave(&mut self, term: TermNumber, roster: &RosterName, user: &Arc<str>) {
        let Some(seats) = self.members.get_mut(roster) else {
            return;
        };
        let Some(seat) = seats.get_mut(user) else {
            return;
        };
        if !seat.terms.is_only(term) {
            seat.terms.remove(term);
            return;
        }
        seats.remove(user);
        let count = seats.len();
        if count == 0 {
            self.members.remove(roster);
        }
        self.tell(TransitionKind::Left, roster, user, &Arc::default(), count);
    }

    fn tell(
        &mut self,
        kind: TransitionKind,
        roster: &RosterName,
        user: &Arc<str>,
        info: &Arc<str>,
        count: usize,
    ) {
        self.record(Some(Transition {
            kind,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            roster: roster.clone(),
            user: Arc::clone(user),
            info: Arc::clone(info),
        }));
    }

    fn record(&mut self, transition: Option<Transition>) {
        let place = NEXT_PLACE.fetch_add(1, Relaxed);
        if self.journal.len() == JOURNAL {
            self.journal.pop_front();
        }
        self.journal.push_back(Recorded { place, transition });
    }

    fn tail(&self) -> Position {
        position(self.journal.back().map_or(0, |last| last.place))
    }
}

fn position(place: u64) -> Position {
    Position::new(place.to_string())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
