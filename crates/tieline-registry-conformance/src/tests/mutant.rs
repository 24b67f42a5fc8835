//! A memory registry with one deliberate difference.

mod rosters;
mod values;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tieline_registry::{
    Claim, ClaimOutcomes, ClientId, Cursor, DEFAULT_NAMESPACE, ExpiredNode, JoinOutcome,
    JoinRequest, LeaseInfo, Located, NodeInfo, NodeReport, NodeSession, Page, Registry,
    RegistryError, RegistryFuture, Release, ReleaseOutcome, Renewal, Rosters, Stamp, Values,
};

/// What differs from a correct memory registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutation {
    None,
    /// Entries are removed with their lease, no counts are reported, no clock is kept, and fencing
    /// tokens reject late operations. Not a fault: etcd does this.
    EntriesExpireWithLease,
    /// The last claim wins, whatever its stamp is.
    IgnoresStamps,
    /// A release deletes the entry without comparing it.
    ReleasesUnconditionally,
    /// The reaper removes a node that has renewed its lease meanwhile.
    ReapsRenewedNodes,
    /// A join replaces any holder of the address.
    NeverBusy,
    /// A release does nothing.
    IgnoresReleases,
    /// A large batch gets one verdict too few.
    DropsVerdict,
    /// A missing entry means that there is no client, also after a loss.
    IgnoresLoss,
    /// Ids are told apart by their names only.
    IgnoresNamespaces,
    /// A put is carried out whatever its number is.
    IgnoresNumbers,
    /// Acknowledged puts may be missing, and nobody is told.
    HidesLoss,
    /// Rosters take any number of members.
    IgnoresLimit,
    /// Terms end although the registry stood still or lost its data.
    IgnoresHold,
    /// A term ends at once instead of after its grace.
    EndsAtOnce,
    /// The journal goes on from a position that it does not contain.
    IgnoresBreaks,
    /// A read leaves out a transition.
    SkipsTransitions,
    /// A read returns a transition twice.
    RepeatsTransitions,
    /// There are as many dispatchers as ask.
    SharesTheHook,
    /// A put changes nothing if there is a value.
    KeepsFirstValue,
    /// A value stays for a while after its end.
    KeepsValuesLonger,
    /// A value that is too long is shortened.
    CutsValues,
    /// Values are gone while there is no node.
    DropsValuesWithNodes,
}

#[derive(Debug)]
pub(super) struct MutantRegistry {
    inner: Arc<dyn Registry>,
    mutation: Mutation,
    executed: AtomicU64,
    /// The current fencing token of each address.
    fences: Mutex<HashMap<Arc<str>, i64>>,
    /// Puts so far.
    numbers: AtomicU64,
}

impl MutantRegistry {
    pub(super) fn new(inner: Arc<dyn Registry>, mutation: Mutation) -> Self {
        Self {
            inner,
            mutation,
            executed: AtomicU64::new(0),
            fences: Mutex::default(),
            numbers: AtomicU64::new(0),
        }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == mutation
    }

    /// The correct registry, after it has removed expired nodes if they go with their lease.
    async fn inner(&self) -> Result<&dyn Registry, RegistryError> {
        if self.is(Mutation::EntriesExpireWithLease) {
            for expired in self.inner.expired().await? {
                while self.inner.reap(&expired, 512).await? {}
            }
        }
        Ok(&*self.inner)
    }

    /// A session with a new fencing token, if there are tokens.
    fn new_token(&self, session: &NodeSession) -> NodeSession {
        let mut session = session.clone();
        if self.is(Mutation::EntriesExpireWithLease) {
            let mut fences = self.fences.lock();
            let fence = fences.entry(session.address.clone()).or_default();
            *fence += 1;
            session.fencing_token = *fence;
        }
        session
    }

    /// Removes the entries of the earlier lease, if they go with it.
    async fn drop_earlier_entries(&self, session: &NodeSession) -> Result<(), RegistryError> {
        if !self.is(Mutation::EntriesExpireWithLease) {
            return Ok(());
        }
        let held = self.inner.ids_of(session, Cursor::default()).await?.items;
        let up_to = Stamp(u64::MAX);
        let releases = held.into_iter().map(|(id, _)| Release { id, up_to });
        let releases: Vec<_> = releases.collect();
        self.inner.release(session, &releases).await?;
        Ok(())
    }

    fn is_rejected_by_token(&self, session: &NodeSession) -> bool {
        self.is(Mutation::EntriesExpireWithLease)
            && self.fences.lock().get(&session.address) != Some(&session.fencing_token)
    }

    fn mutate_lease_info(&self, lease_info: LeaseInfo) -> LeaseInfo {
        match self.mutation {
            Mutation::EntriesExpireWithLease => LeaseInfo::default(),
            _ => lease_info,
        }
    }

    /// Releases an id as the node that owns it.
    async fn release_anyway(
        &self,
        session: &NodeSession,
        id: &ClientId,
    ) -> Result<(), RegistryError> {
        let Some(entry) = self.inner.locate(id.key(), true).await?.entry() else {
            return Ok(());
        };
        for node in self.inner.nodes().await? {
            if node.address == entry.address {
                let owner = NodeSession {
                    address: node.address,
                    process: node.process,
                    ..session.clone()
                };
                let (id, up_to) = (id.clone(), Stamp(u64::MAX));
                self.inner.release(&owner, &[Release { id, up_to }]).await?;
            }
        }
        Ok(())
    }
}

impl Registry for MutantRegistry {
    fn cluster(&self) -> &str {
        self.inner.cluster()
    }

    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome> {
        Box::pin(async move {
            let mut join = self.inner().await?.join(request).await?;
            if let JoinOutcome::Busy(holder) = join
                && self.is(Mutation::NeverBusy)
            {
                let replace = Some(holder);
                let request = JoinRequest {
                    replace,
                    ..request.clone()
                };
                join = self.inner.join(&request).await?;
            }
            match join {
                JoinOutcome::Joined(session, lease_info) => {
                    self.drop_earlier_entries(&session).await?;
                    Ok(JoinOutcome::Joined(
                        self.new_token(&session),
                        self.mutate_lease_info(lease_info),
                    ))
                }
                busy @ JoinOutcome::Busy(_) => Ok(busy),
            }
        })
    }

    fn renew<'a>(
        &'a self,
        session: &'a NodeSession,
        report: NodeReport,
    ) -> RegistryFuture<'a, Renewal> {
        Box::pin(async move {
            Ok(match self.inner().await?.renew(session, report).await? {
                Renewal::Renewed(lease_info) => {
                    Renewal::Renewed(self.mutate_lease_info(lease_info))
                }
                other => other,
            })
        })
    }

    fn fence<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, Option<NodeSession>> {
        Box::pin(async move { Ok(Some(self.new_token(session))) })
    }

    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()> {
        Box::pin(async move { self.inner().await?.leave(session).await })
    }

    fn nodes(&self) -> RegistryFuture<'_, Vec<NodeInfo>> {
        Box::pin(async move { self.inner().await?.nodes().await })
    }

    fn claim<'a>(
        &'a self,
        session: &'a NodeSession,
        claims: &'a [Claim],
    ) -> RegistryFuture<'a, ClaimOutcomes> {
        Box::pin(async move {
            let mut claims = claims.to_vec();
            if self.is_rejected_by_token(session) {
                return Ok(ClaimOutcomes::Lost);
            }
            if self.is(Mutation::IgnoresStamps) {
                for claim in &mut claims {
                    let order = self.executed.fetch_add(1, Ordering::Relaxed);
                    claim.stamp = Stamp(order + (1 << 50));
                }
            }
            for claim in claims
                .iter_mut()
                .filter(|_| self.is(Mutation::IgnoresNamespaces))
            {
                claim.id = claim.id.in_namespace(DEFAULT_NAMESPACE).expect("a name");
            }
            let mut claimed = self.inner().await?.claim(session, &claims).await?;
            if let ClaimOutcomes::Verdicts(verdicts) = &mut claimed
                && self.is(Mutation::DropsVerdict)
                && verdicts.len() > 1_000
            {
                verdicts.pop();
            }
            Ok(claimed)
        })
    }

    fn release<'a>(
        &'a self,
        session: &'a NodeSession,
        releases: &'a [Release],
    ) -> RegistryFuture<'a, ReleaseOutcome> {
        Box::pin(async move {
            if self.is_rejected_by_token(session) {
                return Ok(ReleaseOutcome::Lost);
            }
            for release in releases
                .iter()
                .filter(|_| self.is(Mutation::ReleasesUnconditionally))
            {
                self.release_anyway(session, &release.id).await?;
            }
            match self.mutation {
                Mutation::IgnoresReleases => Ok(ReleaseOutcome::Done),
                _ => self.inner().await?.release(session, releases).await,
            }
        })
    }

    fn locate<'a>(&'a self, id: &'a str, fresh: bool) -> RegistryFuture<'a, Located> {
        Box::pin(async move {
            let located = self.inner().await?.locate(id, fresh).await?;
            Ok(match located {
                Located::Unknown if self.is(Mutation::IgnoresLoss) => Located::Nowhere,
                located => located,
            })
        })
    }

    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<(ClientId, Stamp)>> {
        Box::pin(async move { self.inner().await?.ids_of(session, from).await })
    }

    fn expired(&self) -> RegistryFuture<'_, Vec<ExpiredNode>> {
        Box::pin(async move { self.inner().await?.expired().await })
    }

    fn reap<'a>(&'a self, expired: &'a ExpiredNode, limit: usize) -> RegistryFuture<'a, bool> {
        Box::pin(async move {
            let more = self.inner.reap(expired, limit).await?;
            if !more && self.is(Mutation::ReapsRenewedNodes) {
                self.inner.delete_node(&expired.address).await?;
            }
            Ok(more)
        })
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()> {
        self.inner.set(id, address)
    }

    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()> {
        self.inner.delete(id)
    }

    fn rosters(&self) -> Option<&dyn Rosters> {
        Some(self)
    }

    fn values(&self) -> Option<&dyn Values> {
        Some(self)
    }

    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64> {
        self.inner.delete_node(address)
    }

    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>> {
        Box::pin(async move { self.inner().await?.scan(from).await })
    }
}
