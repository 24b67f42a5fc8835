//! The data of the registry in memory, and what each operation does to it.
//!
//! Knows no clock: callers pass the time of [`Data::now`], in µs. Invariants: an id is in the set of exactly the
//! node that its shadow names; a node exists at least as long as its set is not empty.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    id::ClientId,
    types::{
        Claim, ClaimKind, ClaimOutcomes, Entry, Epoch, ExpiredNode, JoinOutcome, JoinRequest,
        LeaseInfo, Located, NodeInfo, NodeReport, NodeSession, Owner, Release, ReleaseOutcome,
        Renewal, Stamp, Verdict,
    },
};

#[derive(Debug, Clone)]
pub(super) struct Data {
    /// The layout that other programs share: id → address.
    entries: BTreeMap<ClientId, Arc<str>>,
    /// What Tieline wrote; outlives a deletion by another program.
    shadows: HashMap<ClientId, Shadow>,
    nodes: BTreeMap<Arc<str>, Node>,
    /// The cluster's clock, as of the last renewal.
    clock: u64,
    /// How often the data was lost, plus one.
    epoch: u64,
    /// When every live node has joined in this epoch, in µs; zero in the first, which lost nothing.
    settled: u64,
    /// The longest lease of any node, in µs.
    longest_lease: u64,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            shadows: HashMap::new(),
            nodes: BTreeMap::new(),
            clock: 0,
            epoch: 1,
            settled: 0,
            longest_lease: 0,
        }
    }
}

/// What Tieline wrote for an id.
#[derive(Debug, Clone)]
struct Shadow {
    stamp: Stamp,
    address: Arc<str>,
}

#[derive(Debug, Clone)]
struct Node {
    process: Uuid,
    /// When the lease expires, in µs.
    expiry: u64,
    /// Whether it has claimed all its ids in this epoch, and since it joined.
    refilled: bool,
    ids: BTreeSet<ClientId>,
}

/// The clock and the epoch.
impl Data {
    /// The cluster's time: that of the caller, or the latest that a node reported.
    pub(super) fn now(&self, now: u64) -> u64 {
        now.max(self.clock)
    }

    /// Replaces the data. Nothing instead of something is a loss: it begins a new epoch.
    pub(super) fn replace(&mut self, mut with: Self, now: u64) {
        if with.nodes.is_empty() && !self.nodes.is_empty() {
            with.epoch = self.epoch + 1;
            with.settled = now.saturating_add(self.longest_lease);
            with.longest_lease = self.longest_lease;
        }
        *self = with;
    }

    /// What it means that an id has no entry.
    fn absence(&self, now: u64) -> Located {
        let mut live = self.nodes.values().filter(|node| node.expiry > now);
        if now < self.settled || live.any(|node| !node.refilled) {
            Located::Unknown
        } else {
            Located::Nowhere
        }
    }
}

/// The lifecycle of a node.
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
        let expiry = expiry(&session, now.max(request.now.0));
        let node = self.nodes.entry(request.address.clone());
        let node = node.or_insert_with(|| Node {
            process,
            expiry,
            refilled: false,
            ids: BTreeSet::new(),
        });
        (node.process, node.expiry) = (process, expiry);
        node.refilled = !request.has_connections;
        self.longest_lease = self.longest_lease.max(expiry.saturating_sub(now));
        let lease_info = self.lease_info(&session.address, request.now, now);
        JoinOutcome::Joined(session, lease_info)
    }

    pub(super) fn renew(&mut self, session: &NodeSession, report: NodeReport, now: u64) -> Renewal {
        let epoch = self.epoch;
        let node = self.nodes.get_mut(&session.address);
        let Some(node) = node.filter(|node| node.process == session.process) else {
            return Renewal::Lost;
        };
        let expiry = expiry(session, now.max(report.now.0));
        let before = std::mem::replace(&mut node.expiry, expiry);
        // After an expiry, entries may have been removed.
        node.refilled = before > now && (node.refilled || report.refilled.0 == epoch);
        let lease_info = self.lease_info(&session.address, report.now, now);
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
        let nodes = self.nodes.iter().map(|(address, node)| NodeInfo {
            address: address.clone(),
            process: node.process,
            leased: node.expiry > now,
        });
        nodes.collect()
    }

    fn lease_info(&mut self, address: &str, clock: Stamp, now: u64) -> LeaseInfo {
        self.clock = self.clock.max(clock.0).max(now);
        LeaseInfo {
            clock: Stamp(self.clock),
            epoch: Epoch(self.epoch),
            entry_count: Some(self.nodes[address].ids.len() as u64),
            foreign_balance: i64::try_from(self.entries.len())
                .ok()
                .and_then(|entries| entries.checked_sub_unsigned(self.shadows.len() as u64)),
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
            .map(|claim| self.claim_one(&session.address, claim, now));
        ClaimOutcomes::Verdicts(verdicts.collect())
    }

    fn claim_one(&mut self, address: &Arc<str>, claim: &Claim, now: u64) -> Verdict {
        let id = &claim.id;
        let shadow = self.shadows.get(id).cloned();
        if let Some(by) = self.keeper(address, claim, now) {
            if let Some(shadow) = shadow {
                self.entries.entry(id.clone()).or_insert(shadow.address);
            }
            return Verdict::Taken { by };
        }
        let displaced = self
            .remove_shadow(id.key())
            .filter(|shadow| shadow.address != *address);
        let stamp = match (&displaced, shadow) {
            (None, Some(shadow)) => claim.stamp.max(shadow.stamp),
            _ => claim.stamp,
        };
        self.entries.insert(id.clone(), address.clone());
        let address = address.clone();
        let node = self.nodes.get_mut(&address).expect("it may write");
        node.ids.insert(id.clone());
        self.shadows.insert(id.clone(), Shadow { stamp, address });
        Verdict::Granted {
            displaced: displaced.map(|shadow| shadow.address),
        }
    }

    /// The address that keeps the id from this claim, or none.
    fn keeper(&self, address: &Arc<str>, claim: &Claim, now: u64) -> Option<Arc<str>> {
        let shadow = self.shadows.get(&claim.id);
        let entry = self.entries.get(&claim.id);
        // An entry with the claimant's address is not foreign: only its shadow was lost.
        let foreign = entry.filter(|entry| {
            **entry != *address && shadow.is_none_or(|shadow| shadow.address != **entry)
        });
        let is_own = shadow.is_some_and(|shadow| shadow.address == *address);
        let late = shadow.is_some_and(|shadow| claim.stamp <= shadow.stamp);
        let yields_to_foreign = match claim.kind {
            ClaimKind::Fresh => is_own && late,
            ClaimKind::Held | ClaimKind::Exclusive => true,
        };
        let another = shadow.filter(|shadow| {
            let live = claim.kind == ClaimKind::Exclusive && self.leased(&shadow.address, now);
            !is_own && (late || live)
        });
        foreign
            .filter(|_| yields_to_foreign)
            .or(another.map(|shadow| &shadow.address))
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
            let removable = match self.shadows.get(id) {
                Some(shadow) => shadow.address == *address && shadow.stamp <= *up_to,
                None => true,
            };
            if removable {
                self.remove(id.key(), address);
            }
        }
        ReleaseOutcome::Done
    }

    pub(super) fn locate(&self, id: &str, now: u64) -> Located {
        let (entry, shadow) = (self.entries.get(id), self.shadows.get(id));
        let Some(address) = entry.or(shadow.map(|shadow| &shadow.address)).cloned() else {
            return self.absence(now);
        };
        let owner = match shadow.filter(|shadow| shadow.address == address) {
            Some(shadow) => Owner::Node {
                stamp: shadow.stamp,
                leased: self.leased(&address, now),
            },
            None => Owner::Foreign,
        };
        Located::At(Entry { address, owner })
    }

    pub(super) fn ids_of(
        &self,
        address: &str,
        after: Bound<&str>,
        limit: usize,
    ) -> Vec<(ClientId, Stamp)> {
        let Some(node) = self.nodes.get(address) else {
            return Vec::new();
        };
        let ids = node.ids.range::<str, _>((after, Bound::Unbounded));
        let ids = ids.take(limit);
        ids.map(|id| (id.clone(), self.shadows[id].stamp)).collect()
    }

    /// Removes the shadow of an id, whichever node wrote it.
    fn remove_shadow(&mut self, id: &str) -> Option<Shadow> {
        let shadow = self.shadows.remove(id)?;
        if let Some(node) = self.nodes.get_mut(&shadow.address) {
            node.ids.remove(id);
        }
        Some(shadow)
    }

    /// Removes the entry and the shadow of an id if they have this address. Whether the id was found under
    /// this address before.
    fn remove(&mut self, id: &str, address: &str) -> bool {
        let is_own = self
            .shadows
            .get(id)
            .is_some_and(|shadow| *shadow.address == *address);
        let here = self.entries.get(id).map(|entry| **entry == *address);
        if is_own {
            self.remove_shadow(id);
        }
        if here == Some(true) {
            self.entries.remove(id);
        }
        here.unwrap_or(is_own)
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

    pub(super) fn reap(&mut self, expired: &ExpiredNode, limit: usize, now: u64) -> bool {
        let address = &expired.address;
        let node = self.nodes.get(address);
        let seen = |node: &&Node| node.expiry <= now && *expired.mark == node.expiry.to_string();
        let Some(node) = node.filter(seen) else {
            return false;
        };
        let ids: Vec<_> = node.ids.iter().take(limit).cloned().collect();
        for id in ids {
            self.remove(id.key(), address);
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
        self.entries.insert(id, address);
    }

    pub(super) fn delete(&mut self, id: &str) {
        self.entries.remove(id);
    }

    pub(super) fn delete_node(&mut self, address: &str) -> u64 {
        let of_address = self
            .entries
            .iter()
            .filter(|(_, entry)| ***entry == *address);
        let mut ids: BTreeSet<_> = of_address.map(|(id, _)| id.clone()).collect();
        let claimed = self.nodes.get(address).map(|node| node.ids.clone());
        ids.extend(claimed.unwrap_or_default());
        let deleted = ids.iter().filter(|id| self.remove(id.key(), address));
        deleted.count() as u64
    }

    pub(super) fn scan(&self, after: Bound<&str>, limit: usize) -> Vec<(ClientId, Arc<str>)> {
        let entries = self.entries.range::<str, _>((after, Bound::Unbounded));
        let entries = entries.map(|(id, entry)| (id.clone(), entry.clone()));
        entries.take(limit).collect()
    }
}

fn expiry(session: &NodeSession, now: u64) -> u64 {
    now.saturating_add(u64::try_from(session.ttl.as_micros()).unwrap_or(u64::MAX))
}
