//! What a registry in memory stores, and what each operation does to it.
//!
//! Knows no clock: whoever calls says what time it is. Invariants: an id is in the set of exactly the
//! node that its own entry names, and that node is there as long as its set is not empty.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    id::ClientId,
    types::{
        Claim, ClaimKind, ClaimOutcomes, Entry, ExpiredNode, JoinOutcome, JoinRequest, LeaseInfo,
        NodeInfo, NodeSession, Owner, Release, ReleaseOutcome, Renewal, Stamp, Verdict,
    },
};

#[derive(Debug, Clone, Default)]
pub(super) struct Data {
    /// The layout that foreign nodes share: id → address.
    places: BTreeMap<ClientId, Arc<str>>,
    /// What Tieline wrote; outlives a foreign deletion.
    owns: HashMap<ClientId, Shadow>,
    nodes: BTreeMap<Arc<str>, Node>,
    clock: u64,
}

#[derive(Debug, Clone)]
struct Shadow {
    stamp: Stamp,
    address: Arc<str>,
}

#[derive(Debug, Clone)]
struct Node {
    process: Uuid,
    /// When the lease runs out, in µs.
    expiry: u64,
    ids: BTreeSet<ClientId>,
}

/// The life of a node.
impl Data {
    pub(super) fn join(&mut self, request: &JoinRequest, now: u64) -> JoinOutcome {
        let process = request.process;
        let holder = self
            .nodes
            .get(&request.address)
            .filter(|node| node.process != process && Some(node.process) != request.replace)
            .filter(|node| node.expiry > now);
        if let Some(holder) = holder {
            return JoinOutcome::Busy(holder.process);
        }
        let session = NodeSession {
            address: request.address.clone(),
            process,
            ttl: request.lease,
            lease_id: 0,
            fencing_token: 0,
        };
        let expiry = expiry(&session, now);
        let node = self.nodes.entry(request.address.clone());
        let node = node.or_insert_with(|| Node {
            process,
            expiry,
            ids: BTreeSet::new(),
        });
        (node.process, node.expiry) = (process, expiry);
        let lease_info = self.lease_info(&session.address, request.now, now);
        JoinOutcome::Joined(session, lease_info)
    }

    pub(super) fn renew(&mut self, session: &NodeSession, clock: Stamp, now: u64) -> Renewal {
        let node = self.nodes.get_mut(&session.address);
        let Some(node) = node.filter(|node| node.process == session.process) else {
            return Renewal::Lost;
        };
        let before = std::mem::replace(&mut node.expiry, expiry(session, now));
        let lease_info = self.lease_info(&session.address, clock, now);
        if before > now {
            Renewal::Renewed(lease_info)
        } else {
            Renewal::Revived(lease_info)
        }
    }

    pub(super) fn leave(&mut self, session: &NodeSession) {
        let node = self.nodes.get(&session.address);
        if node.is_some_and(|node| node.process == session.process && node.ids.is_empty()) {
            self.nodes.remove(&session.address);
        }
    }

    pub(super) fn nodes(&self, now: u64) -> Vec<NodeInfo> {
        let members = self.nodes.iter().map(|(address, node)| NodeInfo {
            address: address.clone(),
            process: node.process,
            leased: node.expiry > now,
        });
        members.collect()
    }

    fn lease_info(&mut self, address: &str, clock: Stamp, now: u64) -> LeaseInfo {
        self.clock = self.clock.max(clock.0).max(now);
        LeaseInfo {
            clock: Stamp(self.clock),
            entry_count: Some(self.nodes[address].ids.len() as u64),
            foreign_balance: i64::try_from(self.places.len())
                .ok()
                .and_then(|places| places.checked_sub_unsigned(self.owns.len() as u64)),
        }
    }

    fn leased(&self, address: &str, now: u64) -> bool {
        self.nodes
            .get(address)
            .is_some_and(|node| node.expiry > now)
    }

    /// Whether a session may write.
    fn may_write(&self, session: &NodeSession, now: u64) -> bool {
        self.nodes
            .get(&session.address)
            .is_some_and(|node| node.process == session.process && node.expiry > now)
    }
}

/// Entries.
impl Data {
    pub(super) fn claim(
        &mut self,
        session: &NodeSession,
        claims: &[Claim],
        now: u64,
    ) -> ClaimOutcomes {
        if !self.may_write(session, now) {
            return ClaimOutcomes::Lost;
        }
        let verdicts = claims
            .iter()
            .map(|claim| self.judge(&session.address, claim, now));
        ClaimOutcomes::Verdicts(verdicts.collect())
    }

    fn judge(&mut self, address: &Arc<str>, claim: &Claim, now: u64) -> Verdict {
        let id = &claim.id;
        let own = self.owns.get(id).cloned();
        if let Some(by) = self.taker(address, claim, now) {
            if let Some(own) = own {
                self.places.entry(id.clone()).or_insert(own.address);
            }
            return Verdict::Taken { by };
        }
        let displaced = self.disown(id).filter(|own| own.address != *address);
        let stamp = match (&displaced, own) {
            (None, Some(own)) => claim.stamp.max(own.stamp),
            _ => claim.stamp,
        };
        self.places.insert(id.clone(), address.clone());
        let address = address.clone();
        let node = self.nodes.get_mut(&address).expect("it may write");
        node.ids.insert(id.clone());
        self.owns.insert(id.clone(), Shadow { stamp, address });
        Verdict::Granted {
            displaced: displaced.map(|own| own.address),
        }
    }

    /// Who has the id and keeps it against this claim.
    fn taker(&self, address: &Arc<str>, claim: &Claim, now: u64) -> Option<Arc<str>> {
        let own = self.owns.get(&claim.id);
        let place = self.places.get(&claim.id);
        // What names the claimant is not foreign: of two entries only the shadow was lost.
        let foreign = place
            .filter(|place| **place != *address && own.is_none_or(|own| own.address != **place));
        let ours = own.is_some_and(|own| own.address == *address);
        let late = own.is_some_and(|own| claim.stamp <= own.stamp);
        let yields = match claim.kind {
            ClaimKind::Fresh => ours && late,
            ClaimKind::Held | ClaimKind::Exclusive => true,
        };
        let another = own.filter(|own| {
            let live = claim.kind == ClaimKind::Exclusive && self.leased(&own.address, now);
            !ours && (late || live)
        });
        foreign
            .filter(|_| yields)
            .or(another.map(|own| &own.address))
            .cloned()
    }

    pub(super) fn release(
        &mut self,
        session: &NodeSession,
        releases: &[Release],
        now: u64,
    ) -> ReleaseOutcome {
        if !self.may_write(session, now) {
            return ReleaseOutcome::Lost;
        }
        let address = &session.address;
        for Release { id, up_to } in releases {
            let removable = match self.owns.get(id) {
                Some(own) => own.address == *address && own.stamp <= *up_to,
                None => true,
            };
            if removable {
                self.remove(id, address);
            }
        }
        ReleaseOutcome::Done
    }

    pub(super) fn locate(&self, id: &str, now: u64) -> Option<Entry> {
        let (place, own) = (self.places.get(id), self.owns.get(id));
        let address = place.or(own.map(|own| &own.address))?.clone();
        let owner = match own.filter(|own| own.address == address) {
            Some(own) => Owner::Node {
                stamp: own.stamp,
                leased: self.leased(&address, now),
            },
            None => Owner::Foreign,
        };
        Some(Entry { address, owner })
    }

    pub(super) fn ids_of(&self, address: &str, after: Bound<&str>, most: usize) -> Vec<ClientId> {
        let Some(node) = self.nodes.get(address) else {
            return Vec::new();
        };
        let ids = node.ids.range::<str, _>((after, Bound::Unbounded));
        ids.take(most).cloned().collect()
    }

    /// What Tieline wrote for an id goes, whatever it is.
    fn disown(&mut self, id: &str) -> Option<Shadow> {
        let own = self.owns.remove(id)?;
        if let Some(node) = self.nodes.get_mut(&own.address) {
            node.ids.remove(id);
        }
        Some(own)
    }

    /// Removes what stands for an id under an address; says whether that was where it could be found.
    fn remove(&mut self, id: &str, address: &str) -> bool {
        let ours = self
            .owns
            .get(id)
            .is_some_and(|own| *own.address == *address);
        let here = self.places.get(id).map(|place| **place == *address);
        if ours {
            self.disown(id);
        }
        if here == Some(true) {
            self.places.remove(id);
        }
        here.unwrap_or(ours)
    }
}

/// The reaper.
impl Data {
    pub(super) fn expired(&self, now: u64) -> Vec<ExpiredNode> {
        let expired = self.nodes.iter().filter(|(_, node)| node.expiry <= now);
        let expired = expired.map(|(address, node)| ExpiredNode {
            address: address.clone(),
            mark: node.expiry.to_string().into(),
        });
        expired.collect()
    }

    pub(super) fn reap(&mut self, expired: &ExpiredNode, most: usize, now: u64) -> bool {
        let address = &expired.address;
        let node = self.nodes.get(address);
        let seen = |node: &&Node| node.expiry <= now && *expired.mark == node.expiry.to_string();
        let Some(node) = node.filter(seen) else {
            return false;
        };
        let ids: Vec<_> = node.ids.iter().take(most).cloned().collect();
        for id in ids {
            self.remove(&id, address);
        }
        let left = !self.nodes[address].ids.is_empty();
        if !left {
            self.nodes.remove(address);
        }
        left
    }
}

/// The layout that other programs share.
impl Data {
    pub(super) fn set(&mut self, id: ClientId, address: Arc<str>) {
        self.places.insert(id, address);
    }

    pub(super) fn delete(&mut self, id: &str) {
        self.places.remove(id);
    }

    pub(super) fn delete_node(&mut self, address: &str) -> u64 {
        let placed = self.places.iter().filter(|(_, place)| ***place == *address);
        let mut ids: BTreeSet<_> = placed.map(|(id, _)| id.clone()).collect();
        let own = self.nodes.get(address).map(|node| node.ids.clone());
        ids.extend(own.unwrap_or_default());
        let cleared = ids.iter().filter(|id| self.remove(id, address));
        cleared.count() as u64
    }

    pub(super) fn scan(&self, after: Bound<&str>, most: usize) -> Vec<(ClientId, Arc<str>)> {
        let places = self.places.range::<str, _>((after, Bound::Unbounded));
        let places = places.map(|(id, place)| (id.clone(), place.clone()));
        places.take(most).collect()
    }
}

fn expiry(session: &NodeSession, now: u64) -> u64 {
    now.saturating_add(u64::try_from(session.ttl.as_micros()).unwrap_or(u64::MAX))
}
