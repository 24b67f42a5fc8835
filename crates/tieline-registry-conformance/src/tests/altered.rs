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
    Answer, Beat, Candidate, Claim, Claimed, ClientId, Cursor, Entry, Expired, Join, Member, Page,
    Registry, RegistryError, Release, Released, Session, Stamp, Tenure,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
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
pub(super) struct Altered {
    inner: Arc<dyn Registry>,
    manner: Manner,
    executed: AtomicU64,
    /// The current fence of each address.
    fences: Mutex<HashMap<Arc<str>, i64>>,
}

impl Altered {
    pub(super) fn new(inner: Arc<dyn Registry>, manner: Manner) -> Self {
        Self {
            inner,
            manner,
            executed: AtomicU64::new(0),
            fences: Mutex::default(),
        }
    }

    fn is(&self, manner: Manner) -> bool {
        self.manner == manner
    }

    /// The registry, after the leases that ran out.
    async fn inner(&self) -> Result<&dyn Registry, RegistryError> {
        if self.is(Manner::EntriesGoWithTheLease) {
            for expired in self.inner.expired().await? {
                while self.inner.reap(&expired, 512).await? {}
            }
        }
        Ok(&*self.inner)
    }

    /// A new fence for a session, where there are fences.
    fn raise(&self, session: &Session) -> Session {
        let mut session = session.clone();
        if self.is(Manner::EntriesGoWithTheLease) {
            let mut fences = self.fences.lock();
            let fence = fences.entry(session.address.clone()).or_default();
            *fence += 1;
            session.fence = *fence;
        }
        session
    }

    /// Entries of the earlier lease go with a new one.
    async fn lapse(&self, session: &Session) -> Result<(), RegistryError> {
        if !self.is(Manner::EntriesGoWithTheLease) {
            return Ok(());
        }
        let held = self.inner.held(session, Cursor::default()).await?.items;
        let upto = Stamp(u64::MAX);
        let releases: Vec<_> = held.into_iter().map(|id| Release { id, upto }).collect();
        self.inner.release(session, &releases).await?;
        Ok(())
    }

    fn is_fenced_off(&self, session: &Session) -> bool {
        self.is(Manner::EntriesGoWithTheLease)
            && self.fences.lock().get(&session.address) != Some(&session.fence)
    }

    fn tell(&self, tenure: Tenure) -> Tenure {
        match self.manner {
            Manner::EntriesGoWithTheLease => Tenure::default(),
            _ => tenure,
        }
    }

    /// Has whoever owns an id give it back.
    async fn release_anyway(&self, session: &Session, id: &ClientId) -> Result<(), RegistryError> {
        let Some(entry) = self.inner.locate(id, true).await? else {
            return Ok(());
        };
        for member in self.inner.members().await? {
            if member.address == entry.address {
                let owner = Session {
                    address: member.address,
                    process: member.process,
                    ..session.clone()
                };
                let (id, upto) = (id.clone(), Stamp(u64::MAX));
                self.inner.release(&owner, &[Release { id, upto }]).await?;
            }
        }
        Ok(())
    }
}

impl Registry for Altered {
    fn join<'a>(&'a self, candidate: &'a Candidate) -> Answer<'a, Join> {
        Box::pin(async move {
            let mut join = self.inner().await?.join(candidate).await?;
            if let Join::Busy(holder) = join
                && self.is(Manner::NeverBusy)
            {
                let replace = Some(holder);
                let candidate = Candidate {
                    replace,
                    ..candidate.clone()
                };
                join = self.inner.join(&candidate).await?;
            }
            match join {
                Join::Joined(session, tenure) => {
                    self.lapse(&session).await?;
                    Ok(Join::Joined(self.raise(&session), self.tell(tenure)))
                }
                busy @ Join::Busy(_) => Ok(busy),
            }
        })
    }

    fn beat<'a>(&'a self, session: &'a Session, now: Stamp) -> Answer<'a, Beat> {
        Box::pin(async move {
            Ok(match self.inner().await?.beat(session, now).await? {
                Beat::Renewed(tenure) => Beat::Renewed(self.tell(tenure)),
                beat => beat,
            })
        })
    }

    fn fence<'a>(&'a self, session: &'a Session) -> Answer<'a, Option<Session>> {
        Box::pin(async move { Ok(Some(self.raise(session))) })
    }

    fn leave<'a>(&'a self, session: &'a Session) -> Answer<'a, ()> {
        Box::pin(async move { self.inner().await?.leave(session).await })
    }

    fn members(&self) -> Answer<'_, Vec<Member>> {
        Box::pin(async move { self.inner().await?.members().await })
    }

    fn claim<'a>(&'a self, session: &'a Session, claims: &'a [Claim]) -> Answer<'a, Claimed> {
        Box::pin(async move {
            let mut claims = claims.to_vec();
            if self.is_fenced_off(session) {
                return Ok(Claimed::Lost);
            }
            if self.is(Manner::IgnoresStamps) {
                for claim in &mut claims {
                    let order = self.executed.fetch_add(1, Ordering::Relaxed);
                    claim.stamp = Stamp(order + (1 << 50));
                }
            }
            let mut claimed = self.inner().await?.claim(session, &claims).await?;
            if let Claimed::Verdicts(verdicts) = &mut claimed
                && self.is(Manner::DropsAVerdict)
                && verdicts.len() > 1_000
            {
                verdicts.pop();
            }
            Ok(claimed)
        })
    }

    fn release<'a>(
        &'a self,
        session: &'a Session,
        releases: &'a [Release],
    ) -> Answer<'a, Released> {
        Box::pin(async move {
            if self.is_fenced_off(session) {
                return Ok(Released::Lost);
            }
            for release in releases.iter().filter(|_| self.is(Manner::ReleasesAll)) {
                self.release_anyway(session, &release.id).await?;
            }
            match self.manner {
                Manner::ForgetsNothing => Ok(Released::Done),
                _ => self.inner().await?.release(session, releases).await,
            }
        })
    }

    fn locate<'a>(&'a self, id: &'a str, fresh: bool) -> Answer<'a, Option<Entry>> {
        Box::pin(async move { self.inner().await?.locate(id, fresh).await })
    }

    fn held<'a>(&'a self, session: &'a Session, from: Cursor) -> Answer<'a, Page<ClientId>> {
        Box::pin(async move { self.inner().await?.held(session, from).await })
    }

    fn expired(&self) -> Answer<'_, Vec<Expired>> {
        Box::pin(async move { self.inner().await?.expired().await })
    }

    fn reap<'a>(&'a self, expired: &'a Expired, most: usize) -> Answer<'a, bool> {
        Box::pin(async move {
            let more = self.inner.reap(expired, most).await?;
            if !more && self.is(Manner::ReapsTheLiving) {
                self.inner.clear(&expired.address).await?;
            }
            Ok(more)
        })
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> Answer<'a, ()> {
        self.inner.set(id, address)
    }

    fn delete<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.inner.delete(id)
    }

    fn clear<'a>(&'a self, address: &'a str) -> Answer<'a, u64> {
        self.inner.clear(address)
    }

    fn all(&self, from: Cursor) -> Answer<'_, Page<(ClientId, Arc<str>)>> {
        Box::pin(async move { self.inner().await?.all(from).await })
    }
}
