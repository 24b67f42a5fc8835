//! The table: per client id, what this node has, what it believes the registry has, and the one
//! operation that may be under way.
//!
//! Knows no clock, no runtime and no registry: the driver takes [`Request`]s, has them carried out, and
//! brings the answers back. Invariants: at most one operation per id is under way; an id that has no
//! connection here and no entry of this node costs nothing.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{
    entry::{ClaimEntry, Registered, Wanted},
    request::{ClaimBatch, ClaimReply, Effect, Lane, Request},
};
use crate::{
    id::ClientId,
    types::{
        Claim, ClaimKind, ClaimOutcomes, NodeSession, Release, ReleaseOutcome, Stamp, Verdict,
    },
};

/// How many ids a queue may hold that want nothing any more, above as many as there are slots.
const SPARE: usize = 1024;

/// All ids of one node. `C` is what the driver knows a connection by.
#[derive(Debug)]
pub struct ClaimTable<C> {
    by_id: HashMap<ClientId, ClaimEntry<C>>,
    /// `None` while nothing may be sent.
    session: Option<NodeSession>,
    urgent: VecDeque<ClientId>,
    paced: VecDeque<ClientId>,
    /// Slots that are [`Registered::Yes`].
    mine: u64,
}

impl<C> Default for ClaimTable<C> {
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
impl<C> ClaimTable<C> {
    /// A connection came. The older one with its id, if any, is the caller's to close.
    pub fn connect(&mut self, id: &ClientId, stamp: Stamp, connection: C, exclusive: bool) {
        let entry = self
            .by_id
            .entry(id.clone())
            .or_insert_with(ClaimEntry::empty);
        entry.connection = Some(connection);
        (entry.stamp, entry.granted, entry.exclusive) = (stamp, false, exclusive);
        self.push(id.clone(), Lane::Urgent);
    }

    /// A connection ended. Nothing if a newer one has its id by now.
    pub fn disconnect(&mut self, id: &str, is_it: impl FnOnce(&C) -> bool) {
        let Some(entry) = self.by_id.get_mut(id) else {
            return;
        };
        if entry.connection.as_ref().is_some_and(is_it) {
            entry.connection = None;
            entry.recheck = false;
            self.settle(id);
        }
    }

    /// Another node was granted this id: ask again whether it is ours. No verdict travels with it, so
    /// that a late one does no harm.
    pub fn evicted(&mut self, id: &str) {
        let Some(entry) = self
            .by_id
            .get_mut(id)
            .filter(|entry| entry.connection.is_some())
        else {
            return;
        };
        if entry.busy {
            entry.recheck = true;
        } else {
            self.know(id, Registered::Unknown);
            self.enqueue(id);
        }
    }

    /// Ids that the registry has for this node: what has no connection here is given back.
    pub fn sweep(&mut self, ids: impl IntoIterator<Item = ClientId>) {
        for id in ids {
            let entry = self
                .by_id
                .entry(id.clone())
                .or_insert_with(ClaimEntry::empty);
            if entry.connection.is_none() && !entry.busy {
                self.know(&id, Registered::Unknown);
                self.push(id, Lane::Slow);
            }
        }
    }

    /// Everything that is believed to be ours is to be claimed again.
    pub fn audit(&mut self) {
        let ours = self
            .by_id
            .iter()
            .filter(|(_, entry)| entry.known == Registered::Yes);
        let ours: Vec<_> = ours.map(|(id, _)| id.clone()).collect();
        ours.into_iter().for_each(|id| self.push(id, Lane::Slow));
    }

    /// The address was taken, or a lease that had run out was renewed: entries may be gone.
    pub fn joined(&mut self, session: NodeSession) {
        self.session = Some(session);
        let ids: Vec<_> = self.by_id.keys().cloned().collect();
        for id in ids {
            let Some(entry) = self.by_id.get_mut(&id) else {
                continue;
            };
            if entry.busy {
                entry.recheck |= entry.connection.is_some();
            } else {
                if entry.connection.is_some() {
                    self.know(&id, Registered::Unknown);
                }
                self.enqueue_as(&id, Lane::Slow);
            }
        }
    }

    /// The session goes on, perhaps behind a new fence.
    pub fn resumed(&mut self, session: NodeSession) {
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
impl<C> ClaimTable<C> {
    /// The next operations, at most `most` of each kind: none, one or two requests. `now` must not be
    /// below any stamp that this node gave.
    pub fn take(&mut self, lane: Lane, now: Stamp, most: usize) -> Vec<Request> {
        let Some(session) = self.session.clone() else {
            return Vec::new();
        };
        let (mut claims, mut releases) = (Vec::new(), Vec::new());
        while claims.len() < most && releases.len() < most {
            let Some(id) = self.queue(lane).pop_front() else {
                break;
            };
            let Some(entry) = self.by_id.get_mut(&id).filter(|entry| !entry.busy) else {
                continue;
            };
            match entry.wanted(lane == Lane::Slow) {
                Some(Wanted::Claim(kind)) => {
                    let stamp = entry.stamp;
                    entry.busy = true;
                    claims.push(Claim { id, stamp, kind });
                }
                Some(Wanted::Release) => {
                    entry.busy = true;
                    releases.push(Release { id, up_to: now });
                }
                None => {}
            }
        }
        let batch = [ClaimBatch::Claims(claims), ClaimBatch::Releases(releases)];
        let some = batch.into_iter().filter(|batch| !batch.is_empty());
        some.map(|batch| Request {
            session: session.clone(),
            batch,
        })
        .collect()
    }

    /// Whether anything waits to be sent at this pace.
    pub fn waits(&self, lane: Lane) -> bool {
        self.session.is_some()
            && match lane {
                Lane::Urgent => !self.urgent.is_empty(),
                Lane::Slow => !self.paced.is_empty(),
            }
    }

    /// How many ids wait that are not urgent.
    pub fn paced(&self) -> usize {
        self.paced.len()
    }

    /// Brings an answer back.
    pub fn answered(&mut self, request: Request, reply: ClaimReply) -> Vec<Effect<C>> {
        let Request { session, batch } = request;
        let mut effects = Vec::new();
        match (batch, reply) {
            (ClaimBatch::Claims(claims), ClaimReply::Claims(ClaimOutcomes::Verdicts(verdicts)))
                if claims.len() == verdicts.len() =>
            {
                for (claim, verdict) in claims.into_iter().zip(verdicts) {
                    self.judged(&claim, verdict, &mut effects);
                }
            }
            (ClaimBatch::Releases(releases), ClaimReply::Releases(ReleaseOutcome::Done)) => {
                for release in releases {
                    self.ended(&release.id, Registered::No);
                }
            }
            (batch, reply) => {
                // LOST, or silence. Whether it was carried out, the next one tells.
                batch
                    .ids()
                    .for_each(|id| self.ended(id, Registered::Unknown));
                if self.session.as_ref() == Some(&session) {
                    self.session = None;
                    effects.push(Effect::Stopped(reply.is_lost()));
                }
            }
        }
        effects
    }

    fn judged(&mut self, claim: &Claim, verdict: Verdict, effects: &mut Vec<Effect<C>>) {
        let entry = self.by_id.get_mut(&claim.id).expect("a busy slot stays");
        let current = entry.connection.is_some() && entry.stamp == claim.stamp;
        let known = match verdict {
            Verdict::Granted { displaced } => {
                if current && !std::mem::replace(&mut entry.granted, true) {
                    effects.push(Effect::Granted(claim.stamp));
                }
                if let Some(to) = displaced.filter(|_| entry.connection.is_some()) {
                    effects.push(Effect::Evict(to, claim.id.clone()));
                }
                if std::mem::take(&mut entry.recheck) {
                    Registered::Unknown
                } else {
                    Registered::Yes
                }
            }
            Verdict::Taken { .. } => {
                if current && let Some(connection) = entry.connection.take() {
                    entry.recheck = false;
                    effects.push(Effect::Refused(connection, claim.stamp));
                }
                Registered::No
            }
        };
        self.ended(&claim.id, known);
    }

    /// An operation is over.
    fn ended(&mut self, id: &str, known: Registered) {
        self.by_id.get_mut(id).expect("a busy slot stays").busy = false;
        self.know(id, known);
        self.settle(id);
    }

    fn know(&mut self, id: &str, known: Registered) {
        let entry = self
            .by_id
            .get_mut(id)
            .expect("asked for a slot that is there");
        let before = std::mem::replace(&mut entry.known, known);
        self.mine += u64::from(known == Registered::Yes);
        self.mine -= u64::from(before == Registered::Yes);
    }

    /// Queues what a slot wants, or drops it where it wants nothing for good.
    fn settle(&mut self, id: &str) {
        let entry = &self.by_id[id];
        if entry.busy {
            return;
        }
        if entry.connection.is_none() && entry.known == Registered::No {
            self.by_id.remove(id);
        } else {
            self.enqueue(id);
        }
    }

    fn enqueue(&mut self, id: &str) {
        self.enqueue_as(id, Lane::Urgent);
    }

    /// Queues an id that wants something; new connections and ends never slower than they can be.
    fn enqueue_as(&mut self, id: &str, lane: Lane) {
        let Some((id, entry)) = self.by_id.get_key_value(id) else {
            return;
        };
        let Some(wanted) = entry.wanted(false) else {
            return;
        };
        let id = id.clone();
        let held = wanted == Wanted::Claim(ClaimKind::Held);
        let lane = if held { lane } else { Lane::Urgent };
        self.push(id, lane);
    }

    /// Queues an id. Those that left by now, or stand in the queue twice, go once they outnumber the
    /// slots: while the registry is away nothing is taken, and the queue must not remember every
    /// connection of that time.
    fn push(&mut self, id: ClientId, lane: Lane) {
        let most = 2 * self.by_id.len() + SPARE;
        self.queue(lane).push_back(id);
        if self.queue(lane).len() > most {
            let mut queue = std::mem::take(self.queue(lane));
            let mut seen = HashSet::with_capacity(self.by_id.len());
            queue.retain(|id| self.by_id.contains_key(id) && seen.insert(id.clone()));
            *self.queue(lane) = queue;
        }
    }

    fn queue(&mut self, lane: Lane) -> &mut VecDeque<ClientId> {
        match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Slow => &mut self.paced,
        }
    }
}

#[cfg(test)]
mod tests;
