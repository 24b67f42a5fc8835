//! The slots of a node: who is to be entered, and what the registry has said of it.

mod put;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    slot::{InFlight, Known, Settled, Slot, SlotKey, Stage, Verdict},
    slots::Slots,
};
use crate::roster::{
    BeatReply, ItemOutcome, MAX_PUT, Put, PutItem, PutOp, PutReply, RosterName, Term,
};

/// What a node enters in rosters, and what it knows of its entries.
///
/// Times are those of any monotonic clock of the driver.
#[derive(Debug, Default)]
pub struct RosterTable {
    limit: Option<u32>,
    term: Option<Term>,
    /// The term before this one, whose entries stay until everything stands under the new one.
    old: Option<Term>,
    number: u64,
    acknowledged: u64,
    slots: Slots,
    /// Who has come or gone: sent at once.
    fresh: VecDeque<SlotKey>,
    /// Who is entered again: paced.
    again: VecDeque<SlotKey>,
    /// Who goes later, by when.
    due: BTreeMap<Duration, Vec<SlotKey>>,
    /// Who stays while the registry holds.
    held: Vec<SlotKey>,
    /// The items of the put in flight, in order, and its limit.
    in_flight: Vec<InFlight>,
    in_flight_limit: Option<u32>,
    is_in_flight: bool,
}

/// What the application does.
impl RosterTable {
    /// An empty table. A roster takes no new member beyond `limit`.
    pub fn new(limit: Option<u32>) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// A connection of a user comes into a group; empty information leaves what is known of the user. Whether the entry
    /// stands already; if not, a [`Settled`] follows. A user whom a full roster has refused is entered again.
    pub fn enter(&mut self, roster: &RosterName, user: &str, info: &str) -> bool {
        self.enter_limited(roster, (user, info), self.limit)
    }

    /// The same with another limit, and texts that the table shares. Connections of a user that wait for one decision are decided together, by the widest
    /// of their limits: were the user let in by that one, no limit would refuse the others.
    pub fn enter_limited(
        &mut self,
        roster: &RosterName,
        (user, info): (impl Into<Arc<str>>, impl Into<Arc<str>>),
        limit: Option<u32>,
    ) -> bool {
        let (user, info) = (user.into(), info.into());
        let key = self.slots.key(roster, user);
        let slot = self.slots.get_or_insert(&key);
        let is_new_info = !info.is_empty() && slot.info.as_ref() != Some(&info);
        slot.add(limit);
        if slot.known == Known::Refused {
            slot.known = Known::Absent;
        }
        if is_new_info {
            slot.info = Some(info);
        }
        if is_new_info || slot.known == Known::Absent {
            slot.is_fresh = true;
        }
        // The entry was to go, and has not gone.
        if slot.known == Known::Later {
            slot.known = Known::Mine;
        }
        let stands = slot.known == Known::Mine && !slot.is_fresh && slot.stage != Stage::InFlight;
        self.queue(&key, Duration::ZERO);
        stands
    }

    /// A connection of a user leaves a group. If it was the user's last here, the entry goes at the time `due`.
    pub fn exit(&mut self, roster: &RosterName, user: &str, due: Duration) {
        let key = self.slots.key(roster, user);
        let Some(slot) = self.slots.get_mut(&key) else {
            return;
        };
        slot.remove(due);
        if slot.connections > 0 {
            return;
        }
        if slot.is_over() {
            self.slots.remove(&key);
        } else {
            self.due.entry(due).or_default().push(key);
        }
    }

    /// A connection with this limit that was told that the roster is full, and has exited for it, did not hear it: it
    /// counts again, and exits later. The registry is not asked for it.
    pub fn keep_refused(&mut self, roster: &RosterName, user: &str, limit: Option<u32>) {
        let key = self.slots.key(roster, user);
        let is_new = self.slots.get(roster, user).is_none();
        let slot = self.slots.get_or_insert(&key);
        slot.add(limit);
        if is_new {
            slot.known = Known::Refused;
        }
    }

    /// How many connections of a user are in a group at this node.
    pub fn connections(&self, roster: &RosterName, user: &str) -> u32 {
        let slot = self.slots.get(roster, user);
        slot.map_or(0, |slot| slot.connections)
    }
}

/// What is sent to the registry.
impl RosterTable {
    /// The current term; `None` if one is to be opened.
    pub fn term(&self) -> Option<&Term> {
        self.term.as_ref()
    }

    /// The term before, which is renewed until it can be [ended](Self::take_ended).
    pub fn old_term(&self) -> Option<&Term> {
        self.old.as_ref()
    }

    /// A term has been opened, and so much stands in it.
    pub fn on_opened(&mut self, term: Term, stands: u64) {
        self.term = Some(term);
        (self.number, self.acknowledged) = (stands, stands);
        let keys: Vec<_> = self.slots.iter().map(|(key, _)| key).collect();
        keys.iter().for_each(|key| self.queue(key, Duration::ZERO));
    }

    /// The old term, once everything stands under the new one: it is to be ended.
    pub fn take_ended(&mut self) -> Option<Term> {
        // Who is refused has no entry, and gets none.
        let stands = |slot: &Slot| {
            slot.connections == 0 || matches!(slot.known, Known::Refused | Known::Mine)
        };
        let ended = self.term.is_some() && self.old.is_some();
        if ended && !self.is_in_flight && self.slots.iter().all(|(_, slot)| stands(slot)) {
            return self.old.take();
        }
        None
    }

    /// Whether [`next_put`](Self::next_put) has something that does not wait to be entered again.
    pub fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Whether somebody is to be entered again.
    pub fn has_again(&self) -> bool {
        !self.again.is_empty()
    }

    /// When the next entry goes.
    pub fn next_due(&self) -> Option<Duration> {
        self.due.keys().next().copied()
    }

    /// How many users this node has in rosters, or may have: those who are refused, too, until their connections exit.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn queue_due(&mut self, now: Duration) {
        while let Some(first) = self.due.first_entry()
            && *first.key() <= now
        {
            for key in first.remove() {
                self.queue(&key, now);
            }
        }
    }

    fn queue(&mut self, key: &SlotKey, now: Duration) {
        let Some(slot) = self
            .slots
            .get_mut(key)
            .filter(|slot| slot.stage != Stage::Queued)
        else {
            return;
        };
        let Some(op) = slot.wanted(now) else {
            return;
        };
        slot.stage = Stage::Queued;
        let queue = match op {
            PutOp::Enter | PutOp::Leave => &mut self.fresh,
            PutOp::Reenter => &mut self.again,
        };
        queue.push_back(key.clone());
    }
}

/// What the registry answers.
impl RosterTable {
    /// The reply to the put in flight; `None` if there was none in time. If a beat has ended the term meanwhile,
    /// there is no put in flight any more: drop its reply. For each connection that is told [`Verdict::Full`], call
    /// [`exit`](Self::exit) before anything else.
    pub fn on_reply(&mut self, reply: Option<PutReply>, now: Duration) -> Vec<Settled> {
        if !std::mem::take(&mut self.is_in_flight) {
            return Vec::new();
        }
        let items = std::mem::take(&mut self.in_flight);
        match reply {
            Some(PutReply::Done { stands, outcomes }) => {
                self.acknowledged = stands;
                let outcomes = items.into_iter().zip(outcomes);
                let settled = outcomes.filter_map(|(item, outcome)| self.apply(item, outcome, now));
                return settled.collect();
            }
            Some(PutReply::Stale { stands }) => {
                self.acknowledged = stands;
                self.number = self.number.max(stands);
                self.doubt(items, now);
            }
            Some(PutReply::Lost) => {
                self.doubt(items, now);
                self.renounce(false);
            }
            Some(PutReply::Loss) => {
                self.doubt(items, now);
                self.renounce(true);
            }
            None => self.doubt(items, now),
        }
        Vec::new()
    }

    /// The reply to a beat of the current term.
    pub fn on_beat(&mut self, reply: &BeatReply, now: Duration) {
        match reply {
            BeatReply::Lost => self.renounce(false),
            BeatReply::Renewed(pulse) if pulse.stands < self.acknowledged => self.renounce(true),
            BeatReply::Renewed(pulse) if pulse.hold.is_zero() => {
                for key in std::mem::take(&mut self.held) {
                    if let Some(slot) = self.slots.get_mut(&key)
                        && slot.known == Known::Later
                    {
                        slot.known = Known::Mine;
                        self.queue(&key, now);
                    }
                }
            }
            BeatReply::Renewed(_) => {}
        }
    }

    /// The old term is over.
    pub fn on_old_lost(&mut self) {
        self.old = None;
    }

    /// The registry was away, and is back: who went meanwhile goes at the time `due`, so that users who changed
    /// nodes are entered there first.
    pub fn postpone(&mut self, due: Duration) {
        let slots = self.slots.iter();
        let going = slots.filter(|(_, slot)| slot.connections == 0 && slot.due() < due);
        let going: Vec<_> = going.map(|(key, _)| key).collect();
        for key in &going {
            if let Some(slot) = self.slots.get_mut(key) {
                slot.set_due(due);
            }
        }
        self.due.entry(due).or_default().extend(going);
    }

    fn apply(&mut self, item: InFlight, outcome: ItemOutcome, now: Duration) -> Option<Settled> {
        let InFlight { key, op, info } = item;
        let limit = self.in_flight_limit;
        let slot = self.slots.get_mut(&key)?;
        slot.stage = Stage::Rests;
        let verdict = match (op, outcome) {
            (PutOp::Leave, ItemOutcome::Later) => {
                slot.known = Known::Later;
                if slot.connections > 0 {
                    slot.known = Known::Mine;
                } else {
                    self.held.push(key.clone());
                }
                // Who came meanwhile is there, unless it has said something new: that is put, and answered.
                let stands = slot.known == Known::Mine && !slot.is_fresh;
                stands.then_some(Verdict::Entered)
            }
            (PutOp::Leave, _) => {
                slot.known = Known::Absent;
                (slot.is_fresh, slot.is_confirmed) = (slot.connections > 0, false);
                None
            }
            (_, ItemOutcome::Full) if slot.is_wider_than(limit) => {
                // For whoever came meanwhile it may not be: it is asked again.
                slot.known = Known::Absent;
                None
            }
            (_, ItemOutcome::Full) => {
                // Whoever was told that it is pending still counts, and exits.
                slot.known = Known::Refused;
                Some(Verdict::Full)
            }
            _ => {
                (slot.known, slot.is_confirmed) = (Known::Mine, true);
                // Who is entered again keeps the information that is there.
                slot.is_fresh &= op == PutOp::Reenter || slot.info() != info;
                Some(Verdict::Entered)
            }
        };
        if slot.is_over() {
            self.slots.remove(&key);
        } else {
            self.queue(&key, now);
        }
        verdict.map(|verdict| Settled::new(key.0, key.1, verdict))
    }

    /// What these slots have in the registry is unknown.
    fn doubt(&mut self, items: Vec<InFlight>, now: Duration) {
        for InFlight { key, .. } in items {
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.stage = Stage::Rests;
                slot.known = Known::Unknown;
            }
            self.queue(&key, now);
        }
    }

    /// The term is over, or its writes are in doubt: everything is entered again, under another one.
    fn renounce(&mut self, in_doubt: bool) {
        let term = self.term.take();
        if in_doubt {
            self.old = term;
        }
        self.fresh.clear();
        self.again.clear();
        self.held.clear();
        self.in_flight.clear();
        self.is_in_flight = false;
        self.slots.retain(|slot| {
            slot.forget_entry();
            !slot.is_over()
        });
    }
}
