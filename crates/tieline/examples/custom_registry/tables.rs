//! What a registry stores, and what each operation does to it.
//!
//! Knows neither files nor clocks. An entry is a last-writer-wins register, ordered by the time at which
//! the client's connection arrived: repeated and delayed claims do no harm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tieline::{
    ClientId,
    registry::{
        Claim, ClaimKind, ClaimOutcomes, Entry, Epoch, ExpiredNode, JoinOutcome, JoinRequest,
        LeaseInfo, Located, NodeInfo, NodeReport, NodeSession, Owner, Release, ReleaseOutcome,
        Renewal, Stamp, Verdict,
    },
};
use uuid::Uuid;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tables {
    /// The cluster's clock: the highest time that the file or any node has seen, in µs.
    now: u64,
    /// When these tables began: other ones are another epoch.
    epoch: u64,
    /// When every live node has joined in this epoch.
    settled: u64,
    nodes: BTreeMap<String, Node>,
    /// By key: ids of different namespaces may have the same name.
    ids: BTreeMap<String, Row>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Node {
    process: Uuid,
    /// When the lease expires, in the cluster's time.
    expiry: u64,
    /// Whether it has claimed everything again since it joined.
    refilled: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    /// The address in the layout that other programs share, and may overwrite or delete.
    place: Option<String>,
    /// The same as written by a node of Tieline, with the stamp of the connection.
    own: Option<(u64, String)>,
}

impl Row {
    fn owner(&self) -> Option<&str> {
        self.own.as_ref().map(|(_, address)| address.as_str())
    }
}

/// Nodes and their leases.
impl Tables {
    /// Advances the clock, which never goes back.
    pub(crate) fn advance(&mut self, micros: u64) {
        self.now = self.now.max(micros);
        if self.epoch == 0 {
            self.epoch = self.now;
        }
    }

    pub(crate) fn join(&mut self, request: &JoinRequest) -> JoinOutcome {
        let (address, process) = (&*request.address, request.process);
        if let Some(holder) = self.nodes.get(address)
            && holder.expiry > self.now
            && holder.process != process
            && Some(holder.process) != request.replace
        {
            return JoinOutcome::Busy(holder.process);
        }
        let session = NodeSession {
            address: request.address.clone(),
            process,
            ttl: request.lease,
            lease_id: 0,
            fencing_token: 0,
        };
        self.advance(request.now.0);
        let node = Node {
            process,
            expiry: self.expiry(&session),
            refilled: !request.has_connections,
        };
        if self.nodes.is_empty() && self.settled == 0 {
            self.settled = node.expiry;
        }
        self.nodes.insert(address.into(), node);
        let info = self.lease_info(address);
        JoinOutcome::Joined(session, info)
    }

    pub(crate) fn renew(&mut self, session: &NodeSession, report: NodeReport) -> Renewal {
        let lived = self.may_write(session);
        self.advance(report.now.0);
        let (expiry, epoch) = (self.expiry(session), self.epoch);
        let Some(node) = self.node_of(session) else {
            return Renewal::Lost;
        };
        node.expiry = expiry;
        // After an expiry, entries may be gone.
        node.refilled = lived && (node.refilled || report.refilled.0 == epoch);
        let info = self.lease_info(&session.address);
        if lived {
            Renewal::Renewed(info)
        } else {
            Renewal::Revived(info)
        }
    }

    pub(crate) fn leave(&mut self, session: &NodeSession) {
        // A node that has entries stays until its lease expires, so that they can be found and removed.
        let empty = self.ids_of(&session.address).next().is_none();
        if empty && self.node_of(session).is_some() {
            self.nodes.remove(&*session.address);
        }
    }

    pub(crate) fn nodes(&self) -> Vec<NodeInfo> {
        let nodes = self.nodes.iter().map(|(address, node)| NodeInfo {
            address: address.as_str().into(),
            process: node.process,
            leased: node.expiry > self.now,
        });
        nodes.collect()
    }

    pub(crate) fn expired(&self) -> Vec<ExpiredNode> {
        let expired = self.nodes.iter().filter(|(_, n)| n.expiry <= self.now);
        let expired = expired.map(|(address, node)| ExpiredNode {
            address: address.as_str().into(),
            mark: node.expiry.to_string().into(),
        });
        expired.collect()
    }

    pub(crate) fn reap(&mut self, expired: &ExpiredNode, limit: usize) -> bool {
        // Only the lease that was seen: the node may have renewed it since.
        if !self.expired().contains(expired) {
            return false;
        }
        let ids: Vec<_> = self.ids_of(&expired.address).take(limit).collect();
        for (id, _) in ids {
            self.remove(id.key(), &expired.address);
        }
        let left = self.ids_of(&expired.address).next().is_some();
        if !left {
            self.nodes.remove(&*expired.address);
        }
        left
    }

    /// The node of a session, if its process still has the address.
    fn node_of(&mut self, session: &NodeSession) -> Option<&mut Node> {
        let node = self.nodes.get_mut(&*session.address);
        node.filter(|node| node.process == session.process)
    }

    fn may_write(&mut self, session: &NodeSession) -> bool {
        let now = self.now;
        self.node_of(session).is_some_and(|node| node.expiry > now)
    }

    fn leased(&self, address: &str) -> bool {
        self.nodes.get(address).is_some_and(|n| n.expiry > self.now)
    }

    fn expiry(&self, session: &NodeSession) -> u64 {
        let ttl = u64::try_from(session.ttl.as_micros()).unwrap_or(u64::MAX);
        self.now.saturating_add(ttl)
    }

    fn lease_info(&self, address: &str) -> LeaseInfo {
        let (mut held, mut foreign) = (0, 0);
        for row in self.ids.values() {
            held += u64::from(row.owner() == Some(address));
            foreign += i64::from(row.place.is_some()) - i64::from(row.own.is_some());
        }
        LeaseInfo {
            clock: Stamp(self.now),
            epoch: Epoch(self.epoch),
            entry_count: Some(held),
            foreign_balance: Some(foreign),
        }
    }
}

/// Ids.
impl Tables {
    pub(crate) fn claim(&mut self, session: &NodeSession, claims: &[Claim]) -> ClaimOutcomes {
        if !self.may_write(session) {
            return ClaimOutcomes::Lost;
        }
        let claims = claims.iter();
        ClaimOutcomes::Verdicts(claims.map(|c| self.decide(&session.address, c)).collect())
    }

    fn decide(&mut self, address: &str, claim: &Claim) -> Verdict {
        let holder = self.holder(address, claim);
        let row = self.ids.entry(claim.id.key().into()).or_default();
        if let Some(holder) = holder {
            // Repairs an entry that another program has deleted.
            row.place = row.place.take().or(row.own.clone().map(|own| own.1));
            return Verdict::Taken { by: holder.into() };
        }
        let displaced = row.own.take_if(|own| own.1 != address);
        // A delayed claim must not set the stamp back.
        let stamp = row.own.as_ref().map_or(0, |own| own.0).max(claim.stamp.0);
        row.place = Some(address.into());
        row.own = Some((stamp, address.into()));
        Verdict::Granted {
            displaced: displaced.map(|own| own.1.into()),
        }
    }

    /// Who keeps the id against this claim.
    fn holder(&self, address: &str, claim: &Claim) -> Option<String> {
        let row = self.ids.get(claim.id.key())?;
        let ours = row.owner() == Some(address);
        let late = row.own.as_ref().is_some_and(|own| claim.stamp.0 <= own.0);
        // An address that no node of Tieline wrote: a new connection wins over it.
        let foreign = row.place.as_deref();
        let foreign = foreign.filter(|place| *place != address && Some(*place) != row.owner());
        if foreign.is_some() && (claim.kind != ClaimKind::Fresh || ours && late) {
            return foreign.map(String::from);
        }
        let other = row.owner().filter(|_| !ours)?;
        let live = claim.kind == ClaimKind::Exclusive && self.leased(other);
        (late || live).then(|| other.into())
    }

    pub(crate) fn release(
        &mut self,
        session: &NodeSession,
        releases: &[Release],
    ) -> ReleaseOutcome {
        if !self.may_write(session) {
            return ReleaseOutcome::Lost;
        }
        let address = &*session.address;
        for Release { id, up_to } in releases {
            let own = self.ids.get(id.key()).and_then(|row| row.own.as_ref());
            // The entry of a later connection stays.
            if own.is_none_or(|own| own.1 == address && own.0 <= up_to.0) {
                self.remove(id.key(), address);
            }
        }
        ReleaseOutcome::Done
    }

    pub(crate) fn locate(&self, key: &str) -> Located {
        let row = self.ids.get(key);
        let found = row.and_then(|row| Some((row, row.place.as_deref().or(row.owner())?)));
        let Some((row, address)) = found else {
            // An entry may be missing until every live node has claimed its ids in this epoch.
            let mut live = self.nodes.values().filter(|node| node.expiry > self.now);
            let joined = self.settled > 0 && self.now >= self.settled;
            let complete = joined && live.all(|node| node.refilled);
            return if complete {
                Located::Nowhere
            } else {
                Located::Unknown
            };
        };
        let owner = match &row.own {
            Some((stamp, own)) if own == address => Owner::Node {
                stamp: Stamp(*stamp),
                leased: self.leased(address),
            },
            _ => Owner::Foreign,
        };
        Located::At(Entry {
            address: address.into(),
            owner,
        })
    }

    /// The ids of an address, with the stamps of their entries.
    pub(crate) fn ids_of(&self, address: &str) -> impl Iterator<Item = (ClientId, Stamp)> {
        self.ids.iter().filter_map(move |(id, row)| {
            let own = row.own.as_ref().filter(|own| own.1 == address)?;
            Some((ClientId::from_key(id.as_str()).ok()?, Stamp(own.0)))
        })
    }

    /// Removes the entry that an id has under an address; whether it was visible to other programs.
    fn remove(&mut self, key: &str, address: &str) -> bool {
        let Some(row) = self.ids.get_mut(key) else {
            return false;
        };
        let own = row.own.take_if(|own| own.1 == address);
        let place = row.place.take_if(|place| place == address);
        let found = place.is_some() || row.place.is_none() && own.is_some();
        self.forget_if_empty(key);
        found
    }

    fn forget_if_empty(&mut self, key: &str) {
        let row = self.ids.get(key);
        if row.is_some_and(|row| row.place.is_none() && row.own.is_none()) {
            self.ids.remove(key);
        }
    }
}

/// What other programs do that share the registry.
impl Tables {
    pub(crate) fn set(&mut self, id: &ClientId, address: String) {
        self.ids.entry(id.key().into()).or_default().place = Some(address);
    }

    pub(crate) fn delete(&mut self, id: &ClientId) {
        if let Some(row) = self.ids.get_mut(id.key()) {
            row.place = None;
            self.forget_if_empty(id.key());
        }
    }

    pub(crate) fn delete_node(&mut self, address: &str) -> u64 {
        let ids: Vec<_> = self.ids.keys().cloned().collect();
        let removed = ids.iter().filter(|id| self.remove(id, address));
        removed.count() as u64
    }

    pub(crate) fn scan(&self) -> impl Iterator<Item = (ClientId, std::sync::Arc<str>)> {
        let ids = self.ids.iter();
        ids.filter_map(|(id, row)| {
            let place = row.place.as_deref()?;
            Some((ClientId::from_key(id.as_str()).ok()?, place.into()))
        })
    }
}
