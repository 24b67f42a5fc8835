//! A registry in memory that does one thing in another manner.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tieline_registry::{
    Claim, ClaimOutcomes, ClientId, Cursor, Entry, ExpiredNode, JoinOutcome, JoinRequest,
    LeaseInfo, NodeInfo, NodeSession, Page, Registry, RegistryError, RegistryFuture, Release,
    ReleaseOutcome, Renewal, Stamp,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutation {
    AsItIs,
    /// Entries go with their lease, nothing is counted, no clock is kept, and late operations are
    /// fenced off. Not a fault: this is how etcd serves.
    EntriesGoWithTheLease,
    /// Whoever asks last has the id.
    IgnoresStamps,
    /// Whoever releases an id deletes it.
    ReleasesAll,
    /// What was seen to have run out is reaped whatever became of it.
    ReapsTheLiving,
    /// An address is anyone's.
    NeverBusy,
    /// What was released stays.
    ForgetsNothing,
    /// One answer too few.
    DropsAVerdict,
}

#[derive(Debug)]
pub(super) struct MutantRegistry {
    inner: Arc<dyn Registry>,
    mutation: Mutation,
    executed: AtomicU64,
    /// The current fence of each address.
    fences: Mutex<HashMap<Arc<str>, i64>>,
}

impl MutantRegistry {
    pub(super) fn new(inner: Arc<dyn Registry>, mutation: Mutation) -> Self {
        Self {
            inner,
            mutation,
            executed: AtomicU64::new(0),
            fences: Mutex::default(),
        }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == mutation
    }

    /// The registry, after the leases that ran out.
    async fn inner(&self) -> Result<&dyn Registry, RegistryError> {
        if self.is(Mutation::EntriesGoWithTheLease) {
            for expired in self.inner.expired().await? {
                while self.inner.reap(&expired, 512).await? {}
            }
        }
        Ok(&*self.inner)
    }

    /// A new fence for a session, where there are fences.
    fn raise(&self, session: &NodeSession) -> NodeSession {
        let mut session = session.clone();
        if self.is(Mutation::EntriesGoWithTheLease) {
            let mut fences = self.fences.lock();
            let fence = fences.entry(session.address.clone()).or_default();
            *fence += 1;
            session.fencing_token = *fence;
        }
        session
    }

    /// Entries of the earlier lease go with a new one.
    async fn lapse(&self, session: &NodeSession) -> Result<(), RegistryError> {
        if !self.is(Mutation::EntriesGoWithTheLease) {
            return Ok(());
        }
        let held = self.inner.ids_of(session, Cursor::default()).await?.items;
        let up_to = Stamp(u64::MAX);
        let releases: Vec<_> = held.into_iter().map(|id| Release { id, up_to }).collect();
        self.inner.release(session, &releases).await?;
        Ok(())
    }

    fn is_fenced_off(&self, session: &NodeSession) -> bool {
        self.is(Mutation::EntriesGoWithTheLease)
            && self.fences.lock().get(&session.address) != Some(&session.fencing_token)
    }

    fn tell(&self, lease_info: LeaseInfo) -> LeaseInfo {
        match self.mutation {
            Mutation::EntriesGoWithTheLease => LeaseInfo::default(),
            _ => lease_info,
        }
    }

    /// Has whoever owns an id give it back.
    async fn release_anyway(
        &self,
        session: &NodeSession,
        id: &ClientId,
    ) -> Result<(), RegistryError> {
        let Some(entry) = self.inner.locate(id, true).await? else {
            return Ok(());
        };
        for member in self.inner.nodes().await? {
            if member.address == entry.address {
                let owner = NodeSession {
                    address: member.address,
                    process: member.process,
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
                    self.lapse(&session).await?;
                    Ok(JoinOutcome::Joined(
                        self.raise(&session),
                        self.tell(lease_info),
                    ))
                }
                busy @ JoinOutcome::Busy(_) => Ok(busy),
            }
        })
    }

    fn renew<'a>(&'a self, session: &'a NodeSession, now: Stamp) -> RegistryFuture<'a, Renewal> {
        Box::pin(async move {
            Ok(match self.inner().await?.renew(session, now).await? {
                Renewal::Renewed(lease_info) => Renewal::Renewed(self.tell(lease_info)),
                beat => beat,
            })
        })
    }

    fn fence<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, Option<NodeSession>> {
        Box::pin(async move { Ok(Some(self.raise(session))) })
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
            if self.is_fenced_off(session) {
                return Ok(ClaimOutcomes::Lost);
            }
            if self.is(Mutation::IgnoresStamps) {
                for claim in &mut claims {
                    let order = self.executed.fetch_add(1, Ordering::Relaxed);
                    claim.stamp = Stamp(order + (1 << 50));
                }
            }
            let mut claimed = self.inner().await?.claim(session, &claims).await?;
            if let ClaimOutcomes::Verdicts(verdicts) = &mut claimed
                && self.is(Mutation::DropsAVerdict)
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
            if self.is_fenced_off(session) {
                return Ok(ReleaseOutcome::Lost);
            }
            for release in releases.iter().filter(|_| self.is(Mutation::ReleasesAll)) {
                self.release_anyway(session, &release.id).await?;
            }
            match self.mutation {
                Mutation::ForgetsNothing => Ok(ReleaseOutcome::Done),
                _ => self.inner().await?.release(session, releases).await,
            }
        })
    }

    fn locate<'a>(&'a self, id: &'a str, fresh: bool) -> RegistryFuture<'a, Option<Entry>> {
        Box::pin(async move { self.inner().await?.locate(id, fresh).await })
    }

    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<ClientId>> {
        Box::pin(async move { self.inner().await?.ids_of(session, from).await })
    }

    fn expired(&self) -> RegistryFuture<'_, Vec<ExpiredNode>> {
        Box::pin(async move { self.inner().await?.expired().await })
    }

    fn reap<'a>(&'a self, expired: &'a ExpiredNode, most: usize) -> RegistryFuture<'a, bool> {
        Box::pin(async move {
            let more = self.inner.reap(expired, most).await?;
            if !more && self.is(Mutation::ReapsTheLiving) {
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

    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64> {
        self.inner.delete_node(address)
    }

    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>> {
        Box::pin(async move { self.inner().await?.scan(from).await })
    }
}
