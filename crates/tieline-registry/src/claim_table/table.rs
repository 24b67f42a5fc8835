//! The table: per client id, what this node has, what it believes the registry has, and the one
//! operation that may be under way.
//!
//! Knows no clock, no runtime and no registry: the driver takes [`Request`]s, has them carried out, and
//! brings the answers back. Invariants: at most one operation per id is under way; an id that has no
//! connection here and no entry of this node costs nothing.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{
    entry::{Known, Slot, Wanted},
    request::{Answered, Effect, Pace, Request, Work},
};
use crate::{
    id::ClientId,
    types::{Claim, ClaimKind, Claimed, Release, Released, Session, Stamp, Verdict},
};

/// How many ids a queue may hold that want nothing any more, above as many as there are slots.
const SPARE: usize = 1024;

/// All ids of one node. `C` is what the driver knows a connection by.
#[derive(Debug)]
pub struct Slots<C> {
    by_id: HashMap<ClientId, Slot<C>>,
    /// `None` while nothing may be sent.
    session: Option<Session>,
    urgent: VecDeque<ClientId>,
    paced: VecDeque<ClientId>,
    /// Slots that are [`Known::Mine`].
    mine: u64,
}

impl<C> Default for Slots<C> {
    fn default() -> Self {
        Self {
            by_id: HashMap::new(),
            session: None,
            urgent: VecDeque::new(),
            paced: VecDeque::new(),
            mine: 0,
        }
    }
}

/// What happens at this node.
impl<C> Slots<C> {
    /// A connection came. The older one with its id, if any, is the caller's to close.
    pub fn connect(&mut self, id: &ClientId, stamp: Stamp, connection: C, exclusive: bool) {
        let slot = self.by_id.entry(id.clone()).or_insert_with(Slot::empty);
        slot.connection = Some(connection);
        (slot.stamp, slot.granted, slot.exclusive) = (stamp, false, exclusive);
        self.push(id.clone(), Pace::Urgent);
    }

    /// A connection ended. Nothing if a newer one has its id by now.
    pub fn disconnect(&mut self, id: &str, is_it: impl FnOnce(&C) -> bool) {
        let Some(slot) = self.by_id.get_mut(id) else {
            return;
        };
        if slot.connection.as_ref().is_some_and(is_it) {
            slot.connection = None;
            slot.recheck = false;
            self.settle(id);
        }
    }

    /// Another node was granted this id: ask again whether it is ours. No verdict travels with it, so
    /// that a late one does no harm.
    pub fn evicted(&mut self, id: &str) {
        let Some(slot) = self
            .by_id
            .get_mut(id)
            .filter(|slot| slot.connection.is_some())
        else {
            return;
        };
        if slot.busy {
            slot.recheck = true;
        } else {
            self.know(id, Known::Unknown);
            self.enqueue(id);
        }
    }

    /// Ids that the registry has for this node: what has no connection here is given back.
    pub fn sweep(&mut self, ids: impl IntoIterator<Item = ClientId>) {
        for id in ids {
            let slot = self.by_id.entry(id.clone()).or_insert_with(Slot::empty);
            if slot.connection.is_none() && !slot.busy {
                self.know(&id, Known::Unknown);
                self.push(id, Pace::Slow);
            }
        }
    }

    /// Everything that is believed to be ours is to be claimed again.
    pub fn audit(&mut self) {
        let ours = self
            .by_id
            .iter()
            .filter(|(_, slot)| slot.known == Known::Mine);
        let ours: Vec<_> = ours.map(|(id, _)| id.clone()).collect();
        ours.into_iter().for_each(|id| self.push(id, Pace::Slow));
    }

    /// The address was taken, or a lease that had run out was renewed: entries may be gone.
    pub fn joined(&mut self, session: Session) {
        self.session = Some(session);
        let ids: Vec<_> = self.by_id.keys().cloned().collect();
        for id in ids {
            let Some(slot) = self.by_id.get_mut(&id) else {
                continue;
            };
            if slot.busy {
                slot.recheck |= slot.connection.is_some();
            } else {
                if slot.connection.is_some() {
                    self.know(&id, Known::Unknown);
                }
                self.enqueue_as(&id, Pace::Slow);
            }
        }
    }

    /// The session goes on, perhaps behind a new fence.
    pub fn resumed(&mut self, session: Session) {
        self.session = Some(session);
    }

    /// Nothing is sent from here on.
    pub fn stop(&mut self) {
        self.session = None;
    }

    /// Whether requests may be sent.
    pub fn is_joined(&self) -> bool {
        self.session.is_some()
    }

    /// How many entries this node believes to have.
    pub fn mine(&self) -> u64 {
        self.mine
    }

    /// How many ids have a connection here, an entry of ours or an operation under way.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether nothing is left to hold or to give back.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

/// What the driver does.
impl<C> Slots<C> {
    /// The next operations, at most `most` of each kind: none, one or two requests. `now` must not be
    /// below any stamp that this node gave.
    pub fn take(&mut self, pace: Pace, now: Stamp, most: usize) -> Vec<Request> {
        let Some(session) = self.session.clone() else {
            return Vec::new();
        };
        let (mut claims, mut releases) = (Vec::new(), Vec::new());
        while claims.len() < most && releases.len() < most {
            let Some(id) = self.queue(pace).pop_front() else {
                break;
            };
            let Some(slot) = self.by_id.get_mut(&id).filter(|slot| !slot.busy) else {
                continue;
            };
            match slot.wanted(pace == Pace::Slow) {
                Some(Wanted::Claim(kind)) => {
                    let stamp = slot.stamp;
                    slot.busy = true;
                    claims.push(Claim { id, stamp, kind });
                }
                Some(Wanted::Release) => {
                    slot.busy = true;
                    releases.push(Release { id, upto: now });
                }
                None => {}
            }
        }
        let work = [Work::Claims(claims), Work::Releases(releases)];
        let some = work.into_iter().filter(|work| !work.is_empty());
        some.map(|work| Request {
            session: session.clone(),
            work,
        })
        .collect()
    }

    /// Whether anything waits to be sent at this pace.
    pub fn waits(&self, pace: Pace) -> bool {
        self.session.is_some()
            && match pace {
                Pace::Urgent => !self.urgent.is_empty(),
                Pace::Slow => !self.paced.is_empty(),
            }
    }

    /// How many ids wait that are not urgent.
    pub fn paced(&self) -> usize {
        self.paced.len()
    }

    /// Brings an answer back.
    pub fn answered(&mut self, request: Request, answered: Answered) -> Vec<Effect<C>> {
        let Request { session, work } = request;
        let mut effects = Vec::new();
        match (work, answered) {
            (Work::Claims(claims), Answered::Claims(Claimed::Verdicts(verdicts)))
                if claims.len() == verdicts.len() =>
            {
                for (claim, verdict) in claims.into_iter().zip(verdicts) {
                    self.judged(&claim, verdict, &mut effects);
                }
            }
            (Work::Releases(releases), Answered::Releases(Released::Done)) => {
                for release in releases {
                    self.ended(&release.id, Known::Absent);
                }
            }
            (work, answered) => {
                // LOST, or silence. Whether it was carried out, the next one tells.
                work.ids().for_each(|id| self.ended(id, Known::Unknown));
                if self.session.as_ref() == Some(&session) {
                    self.session = None;
                    effects.push(Effect::Stopped(answered.is_lost()));
                }
            }
        }
        effects
    }

    fn judged(&mut self, claim: &Claim, verdict: Verdict, effects: &mut Vec<Effect<C>>) {
        let slot = self.by_id.get_mut(&claim.id).expect("a busy slot stays");
        let current = slot.connection.is_some() && slot.stamp == claim.stamp;
        let known = match verdict {
            Verdict::Granted { displaced } => {
                if current && !std::mem::replace(&mut slot.granted, true) {
                    effects.push(Effect::Granted(claim.stamp));
                }
                if let Some(to) = displaced.filter(|_| slot.connection.is_some()) {
                    effects.push(Effect::Evict(to, claim.id.clone()));
                }
                if std::mem::take(&mut slot.recheck) {
                    Known::Unknown
                } else {
                    Known::Mine
                }
            }
            Verdict::Taken { .. } => {
                if current && let Some(connection) = slot.connection.take() {
                    slot.recheck = false;
                    effects.push(Effect::Refused(connection, claim.stamp));
                }
                Known::Absent
            }
        };
        self.ended(&claim.id, known);
    }

    /// An operation is over.
    fn ended(&mut self, id: &str, known: Known) {
        self.by_id.get_mut(id).expect("a busy slot stays").busy = false;
        self.know(id, known);
        self.settle(id);
    }

    fn know(&mut self, id: &str, known: Known) {
        let slot = self
            .by_id
            .get_mut(id)
            .expect("asked for a slot that is there");
        let before = std::mem::replace(&mut slot.known, known);
        self.mine += u64::from(known == Known::Mine);
        self.mine -= u64::from(before == Known::Mine);
    }

    /// Queues what a slot wants, or drops it where it wants nothing for good.
    fn settle(&mut self, id: &str) {
        let slot = &self.by_id[id];
        if slot.busy {
            return;
        }
        if slot.connection.is_none() && slot.known == Known::Absent {
            self.by_id.remove(id);
        } else {
            self.enqueue(id);
        }
    }

    fn enqueue(&mut self, id: &str) {
        self.enqueue_as(id, Pace::Urgent);
    }

    /// Queues an id that wants something; new connections and ends never slower than they can be.
    fn enqueue_as(&mut self, id: &str, pace: Pace) {
        let Some((id, slot)) = self.by_id.get_key_value(id) else {
            return;
        };
        let Some(wanted) = slot.wanted(false) else {
            return;
        };
        let id = id.clone();
        let held = wanted == Wanted::Claim(ClaimKind::Held);
        let pace = if held { pace } else { Pace::Urgent };
        self.push(id, pace);
    }

    /// Queues an id. Those that left by now, or stand in the queue twice, go once they outnumber the
    /// slots: while the registry is away nothing is taken, and the queue must not remember every
    /// connection of that time.
    fn push(&mut self, id: ClientId, pace: Pace) {
        let most = 2 * self.by_id.len() + SPARE;
        self.queue(pace).push_back(id);
        if self.queue(pace).len() > most {
            let mut queue = std::mem::take(self.queue(pace));
            let mut seen = HashSet::with_capacity(self.by_id.len());
            queue.retain(|id| self.by_id.contains_key(id) && seen.insert(id.clone()));
            *self.queue(pace) = queue;
        }
    }

    fn queue(&mut self, pace: Pace) -> &mut VecDeque<ClientId> {
        match pace {
            Pace::Urgent => &mut self.urgent,
            Pace::Slow => &mut self.paced,
        }
    }
}

#[cfg(test)]
mod tests;
