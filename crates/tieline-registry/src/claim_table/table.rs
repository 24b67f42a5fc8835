//! The table: per client id, what this node wants, what the registry has, and the one request that may
//! be in progress.
//!
//! Knows no clock, no runtime and no registry: the driver takes [`ClaimRequest`]s, sends them, and
//! hands the replies back. The transitions of an id are in `entry`. Invariants: at most one request per
//! id is in progress; an id without a connection here and without an entry of this node uses no memory.

use std::collections::HashMap;

use super::{
    entry::{ClaimEntry, Operation},
    lanes::{Lane, Lanes},
    request::{ClaimBatch, ClaimReply, ClaimRequest, Effect},
};
use crate::{
    id::ClientId,
    types::{
        Claim, ClaimKind, ClaimOutcomes, NodeSession, Release, ReleaseOutcome, Stamp, Verdict,
    },
};

/// All ids of one node. `C` is how the driver identifies a connection.
#[derive(Debug)]
pub struct ClaimTable<C> {
    entries: HashMap<ClientId, ClaimEntry<C>>,
    /// `None` while nothing may be sent.
    session: Option<NodeSession>,
    lanes: Lanes,
    /// Entries that are registered.
    registered: u64,
    /// Connections here that may lack their entries since the last join.
    to_refill: u64,
}

impl<C> Default for ClaimTable<C> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            session: None,
            lanes: Lanes::default(),
            registered: 0,
            to_refill: 0,
        }
    }
}

/// Events.
impl<C> ClaimTable<C> {
    /// A connection arrived: claims its id. An older connection with the same id is the caller's to
    /// close. With `exclusive`, a live connection elsewhere keeps the id
    /// ([`ClaimKind::Exclusive`]).
    pub fn connect(&mut self, id: &ClientId, stamp: Stamp, connection: C, exclusive: bool) {
        self.entries.entry(id.clone()).or_default();
        let key = id.key();
        self.apply(key, |entry| entry.connect(connection, stamp, exclusive));
        self.lanes.push(Lane::Urgent, id.clone(), &self.entries);
    }

    /// A connection ended: releases the id that has this [key](ClientId::key), unless a newer connection
    /// here has it.
    pub fn disconnect(&mut self, key: &str, is_same: impl FnOnce(&C) -> bool) {
        if self.apply(key, |entry| entry.disconnect(is_same)) == Some(true) {
            self.forget_or_enqueue(key);
        }
    }

    /// Another node was granted the id that has this [key](ClientId::key): claims it again, to learn who
    /// has it. The event carries no verdict, so that a late one does no harm.
    pub fn recheck(&mut self, key: &str) {
        if self.apply(key, ClaimEntry::recheck) == Some(true) {
            self.enqueue(key, Lane::Urgent);
        }
    }

    /// The registry lists these ids under this node's address, with these stamps: releases those without
    /// a connection here. Returns how many those are.
    pub fn sweep(&mut self, ids: impl IntoIterator<Item = (ClientId, Stamp)>) -> usize {
        let mut released = 0;
        for (id, stamp) in ids {
            self.entries.entry(id.clone()).or_default();
            if self.apply(id.key(), |entry| entry.sweep(stamp)) == Some(true) {
                self.lanes.push(Lane::Slow, id, &self.entries);
                released += 1;
            }
        }
        released
    }

    /// Claims everything again that is believed to be registered.
    pub fn audit(&mut self) {
        let registered = self.entries.iter().filter(|(_, e)| e.is_registered());
        let registered: Vec<_> = registered.map(|(id, _)| id.clone()).collect();
        for id in registered {
            self.lanes.push(Lane::Slow, id, &self.entries);
        }
    }

    /// The node has taken its address, or renewed a lease that had expired: entries may be missing, so
    /// everything is claimed again. [`to_refill`](Self::to_refill) says how much is left of that.
    pub fn on_joined(&mut self, session: NodeSession) {
        self.session = Some(session);
        let ids: Vec<_> = self.entries.keys().cloned().collect();
        for id in ids {
            self.apply(id.key(), ClaimEntry::rejoin);
            self.enqueue(id.key(), Lane::Slow);
        }
    }

    /// The session continues after a missing reply, perhaps with another fencing token.
    pub fn on_resumed(&mut self, session: NodeSession) {
        self.session = Some(session);
    }

    /// Sends nothing until [`on_joined`](Self::on_joined) or [`on_resumed`](Self::on_resumed).
    pub fn stop(&mut self) {
        self.session = None;
    }
}

/// State.
impl<C> ClaimTable<C> {
    /// Whether requests may be sent.
    pub fn is_joined(&self) -> bool {
        self.session.is_some()
    }

    /// How many ids the registry is believed to have for this node.
    pub fn registered(&self) -> u64 {
        self.registered
    }

    /// How many connections may lack their entries, because the registry may have lost them and has not
    /// granted them again since the node has joined. At zero, the node has refilled.
    pub fn to_refill(&self) -> u64 {
        self.to_refill
    }

    /// How many ids have a connection here, may be registered, or have a request in progress.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing to hold and nothing to release.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether [`next_requests`](Self::next_requests) has something to look at.
    pub fn has_queued(&self, lane: Lane) -> bool {
        self.is_joined() && self.queue_len(lane) > 0
    }

    /// How many ids are queued. Some may need no request any more.
    pub fn queue_len(&self, lane: Lane) -> usize {
        self.lanes.len(lane)
    }
}

/// Requests and replies.
impl<C> ClaimTable<C> {
    /// The next requests of a lane: at most one with claims and one with releases, each of at most
    /// `limit` operations.
    pub fn next_requests(&mut self, lane: Lane, limit: usize) -> Vec<ClaimRequest> {
        let Some(session) = self.session.clone() else {
            return Vec::new();
        };
        let (mut claims, mut releases) = (Vec::new(), Vec::new());
        while claims.len() < limit && releases.len() < limit {
            let Some(id) = self.lanes.pop(lane) else {
                break;
            };
            let entry = self.entries.get_mut(&id);
            let Some(entry) = entry.filter(|entry| !entry.is_in_progress()) else {
                continue;
            };
            let Some(operation) = entry.next_operation(lane == Lane::Slow) else {
                continue;
            };
            entry.begin();
            match operation {
                Operation::Claim(stamp, kind) => claims.push(Claim { id, stamp, kind }),
                Operation::Release(up_to) => releases.push(Release { id, up_to }),
            }
        }
        let batches = [ClaimBatch::Claims(claims), ClaimBatch::Releases(releases)];
        let batches = batches.into_iter().filter(|batch| !batch.is_empty());
        batches
            .map(|batch| ClaimRequest {
                session: session.clone(),
                batch,
            })
            .collect()
    }

    /// Processes the reply to a request. Call it exactly once for each request, in any order.
    pub fn on_reply(&mut self, request: ClaimRequest, reply: ClaimReply) -> Vec<Effect<C>> {
        let ClaimRequest { session, batch } = request;
        let mut effects = Vec::new();
        match (batch, reply) {
            (ClaimBatch::Claims(claims), ClaimReply::Claims(ClaimOutcomes::Verdicts(verdicts)))
                if claims.len() == verdicts.len() =>
            {
                for (claim, verdict) in claims.into_iter().zip(verdicts) {
                    self.on_verdict(claim, verdict, &mut effects);
                }
            }
            (ClaimBatch::Releases(releases), ClaimReply::Releases(ReleaseOutcome::Done)) => {
                for Release { id, .. } in releases {
                    self.apply(id.key(), ClaimEntry::on_released);
                    self.forget_or_enqueue(id.key());
                }
            }
            (batch, reply) => {
                // The session is lost, or the reply is missing. The next request finds out what was
                // carried out.
                for id in batch.ids() {
                    self.apply(id.key(), ClaimEntry::on_no_reply);
                    self.forget_or_enqueue(id.key());
                }
                if self.session.as_ref() == Some(&session) {
                    self.stop();
                    effects.push(Effect::Stopped(reply.stop_reason()));
                }
            }
        }
        effects
    }

    fn on_verdict(&mut self, claim: Claim, verdict: Verdict, effects: &mut Vec<Effect<C>>) {
        let Claim { id, stamp, .. } = claim;
        match verdict {
            Verdict::Granted { displaced } => {
                if self.apply(id.key(), |entry| entry.on_granted(stamp)) == Some(true) {
                    effects.push(Effect::Granted(stamp));
                }
                // Without a connection here, the entry is released next: nobody is displaced.
                let desired = self.entries.get(&id).is_some_and(ClaimEntry::is_desired);
                if let Some(node) = displaced.filter(|_| desired) {
                    effects.push(Effect::Evict(node, id.clone()));
                }
            }
            Verdict::Taken { .. } => {
                let refused = self
                    .apply(id.key(), |entry| entry.on_taken(stamp))
                    .flatten();
                effects.extend(refused.map(|connection| Effect::Refused(connection, stamp)));
            }
        }
        self.forget_or_enqueue(id.key());
    }
}

/// Bookkeeping.
impl<C> ClaimTable<C> {
    /// Applies an event to an entry, and keeps the counts. `None` without an entry.
    fn apply<R>(&mut self, key: &str, event: impl FnOnce(&mut ClaimEntry<C>) -> R) -> Option<R> {
        let entry = self.entries.get_mut(key)?;
        let (was_registered, was_to_refill) = (entry.is_registered(), entry.is_to_refill());
        let result = event(entry);
        self.registered += u64::from(entry.is_registered());
        self.registered -= u64::from(was_registered);
        self.to_refill += u64::from(entry.is_to_refill());
        self.to_refill -= u64::from(was_to_refill);
        Some(result)
    }

    /// Drops an entry that needs nothing for good; else queues what it needs.
    fn forget_or_enqueue(&mut self, key: &str) {
        if self.entries.get(key).is_some_and(ClaimEntry::is_obsolete) {
            self.entries.remove(key);
        } else {
            self.enqueue(key, Lane::Urgent);
        }
    }

    /// Queues an id that needs a request, unless one is in progress. Only repeated claims may be slow:
    /// a connection that has just arrived or ended never waits for an audit.
    fn enqueue(&mut self, key: &str, lane: Lane) {
        let Some((id, entry)) = self.entries.get_key_value(key) else {
            return;
        };
        if entry.is_in_progress() {
            return;
        }
        let lane = match entry.next_operation(false) {
            None => return,
            Some(Operation::Claim(_, ClaimKind::Held)) => lane,
            Some(_) => Lane::Urgent,
        };
        self.lanes.push(lane, id.clone(), &self.entries);
    }
}

#[cfg(test)]
mod tests;
