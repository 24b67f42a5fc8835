//! A registry that is away, slow or empty when a test says so, and counts what it is asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tieline::{
    ClientId,
    registry::{
        Claim, ClaimOutcomes, Cursor, ExpiredNode, JoinOutcome, JoinRequest, LeaseInfo, Located,
        MemoryRegistry, NodeInfo, NodeReport, NodeSession, Page, Registry, RegistryError,
        RegistryFuture, Release, ReleaseOutcome, Renewal, Stamp,
    },
};
use tokio::sync::watch;

/// How the registry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Every request fails at once.
    Errs,
    /// No request is answered.
    Hangs,
}

/// When the claims of a node are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Before they are carried out.
    Claims,
    /// Once they have been carried out, before they are answered.
    Verdicts,
}

/// A registry in memory behind whatever befalls it.
#[derive(Debug)]
pub(crate) struct Store {
    /// The name of the cluster.
    cluster: String,
    memory: MemoryRegistry,
    mood: watch::Sender<Mood>,
    /// The node whose claims are held, if any.
    held: watch::Sender<Option<(Hold, String)>>,
    /// Claims that are held now.
    held_claims: AtomicUsize,
    /// Before each request is carried out.
    delay: Duration,
    /// From when a look-up is carried out to its answer.
    lag: Duration,
    claims: AtomicUsize,
    /// How far the clock of this node's registry is ahead, in µs. Other nodes do not learn it from the
    /// registry.
    ahead: u64,
    /// The id whose look-ups are not answered, if any.
    stuck: watch::Sender<Option<String>>,
    /// How often it was asked where a client is.
    lookups: AtomicUsize,
    /// How long it takes to list the ids of a node.
    listing: Mutex<Duration>,
    listings_begun: AtomicUsize,
    listings_ended: AtomicUsize,
}

impl Store {
    /// A registry each of whose answers takes so long. Its cluster has the same name as those of other such
    /// registries, with which it shares nothing else.
    pub(crate) fn slow(delay: Duration) -> Arc<Self> {
        Self::new(delay, Duration::ZERO)
    }

    /// A registry whose answers to look-ups are so old when they come.
    pub(crate) fn stale(lag: Duration) -> Arc<Self> {
        Self::new(Duration::ZERO, lag)
    }

    /// The view of one node on a registry without a clock of its own, as etcd: its machine's clock is ahead.
    pub(crate) fn ahead(memory: &MemoryRegistry, by: Duration) -> Arc<Self> {
        Arc::new(Self {
            cluster: memory.cluster().to_owned(),
            memory: memory.clone(),
            ahead: u64::try_from(by.as_micros()).unwrap(),
            ..Self::idle(Duration::ZERO, Duration::ZERO)
        })
    }

    fn new(delay: Duration, lag: Duration) -> Arc<Self> {
        Arc::new(Self::idle(delay, lag))
    }

    fn idle(delay: Duration, lag: Duration) -> Self {
        Self {
            cluster: "store".to_owned(),
            memory: MemoryRegistry::new(),
            mood: watch::Sender::new(Mood::Well),
            held: watch::Sender::new(None),
            held_claims: AtomicUsize::new(0),
            delay,
            lag,
            claims: AtomicUsize::new(0),
            ahead: 0,
            stuck: watch::Sender::new(None),
            lookups: AtomicUsize::new(0),
            listing: Mutex::default(),
            listings_begun: AtomicUsize::new(0),
            listings_ended: AtomicUsize::new(0),
        }
    }

    fn tell(&self, mut lease_info: LeaseInfo) -> LeaseInfo {
        lease_info.clock.0 += self.ahead;
        lease_info
    }

    /// Answers no look-up of this id until [`Store::answer_all`].
    pub(crate) fn stick(&self, id: &str) {
        self.stuck.send_replace(Some(id.to_owned()));
    }

    pub(crate) fn answer_all(&self) {
        self.stuck.send_replace(None);
    }

    pub(crate) fn lookups(&self) -> usize {
        self.lookups.load(Ordering::Relaxed)
    }

    /// From now on it takes so long to list the ids of a node.
    pub(crate) fn slow_listing(&self, delay: Duration) {
        *self.listing.lock() = delay;
    }

    /// Lists of a node's ids that were asked for, and those that were answered to somebody who still
    /// waited.
    pub(crate) fn listings(&self) -> (usize, usize) {
        let [begun, ended] = [&self.listings_begun, &self.listings_ended];
        (begun.load(Ordering::Relaxed), ended.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Holds the claims of the node at this address until [`Store::release`].
    pub(crate) fn hold(&self, hold: Hold, address: &str) {
        self.held.send_replace(Some((hold, address.to_owned())));
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(None);
    }

    /// Waits until claims of this node are not held at this point.
    async fn pass(&self, hold: Hold, address: &str) {
        let is_free = |held: &Option<(Hold, String)>| {
            held.as_ref()
                .is_none_or(|(at, of)| *at != hold || of != address)
        };
        let mut changes = self.held.subscribe();
        if !is_free(&changes.borrow()) {
            self.held_claims.fetch_add(1, Ordering::Relaxed);
            drop(changes.wait_for(is_free).await);
            self.held_claims.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Requests to claim ids that are held now.
    pub(crate) fn held_claims(&self) -> usize {
        self.held_claims.load(Ordering::Relaxed)
    }

    /// Loses everything.
    pub(crate) fn wipe(&self) {
        self.memory.restore(&MemoryRegistry::new());
    }

    /// How often it was asked to claim, whatever the number of ids.
    pub(crate) fn claim_calls(&self) -> usize {
        self.claims.load(Ordering::Relaxed)
    }

    async fn arrive(&self) -> Result<MemoryRegistry, RegistryError> {
        let mut mood = self.mood.subscribe();
        let now = *mood.wait_for(|mood| *mood != Mood::Hangs).await.unwrap();
        if now == Mood::Errs {
            return Err(RegistryError::new("answer", "it is away"));
        }
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        Ok(self.memory.clone())
    }
}

impl Registry for Store {
    fn cluster(&self) -> &str {
        &self.cluster
    }

    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome> {
        Box::pin(async move {
            let mut request = request.clone();
            request.now.0 = request.now.0.saturating_sub(self.ahead);
            Ok(match self.arrive().await?.join(&request).await? {
                JoinOutcome::Joined(session, lease_info) => {
                    JoinOutcome::Joined(session, self.tell(lease_info))
                }
                busy @ JoinOutcome::Busy(_) => busy,
            })
        })
    }

    fn renew<'a>(
        &'a self,
        session: &'a NodeSession,
        mut report: NodeReport,
    ) -> RegistryFuture<'a, Renewal> {
        report.now.0 = report.now.0.saturating_sub(self.ahead);
        Box::pin(async move {
            let renewal = self.arrive().await?.renew(session, report).await?;
            Ok(match renewal {
                Renewal::Renewed(lease_info) => Renewal::Renewed(self.tell(lease_info)),
                Renewal::Revived(lease_info) => Renewal::Revived(self.tell(lease_info)),
                Renewal::Lost => Renewal::Lost,
            })
        })
    }

    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()> {
        Box::pin(async move { self.arrive().await?.leave(session).await })
    }

    fn nodes(&self) -> RegistryFuture<'_, Vec<NodeInfo>> {
        Box::pin(async move { self.arrive().await?.nodes().await })
    }

    fn claim<'a>(
        &'a self,
        session: &'a NodeSession,
        claims: &'a [Claim],
    ) -> RegistryFuture<'a, ClaimOutcomes> {
        self.claims.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            self.pass(Hold::Claims, &session.address).await;
            let verdicts = self.arrive().await?.claim(session, claims).await;
            self.pass(Hold::Verdicts, &session.address).await;
            verdicts
        })
    }

    fn release<'a>(
        &'a self,
        session: &'a NodeSession,
        releases: &'a [Release],
    ) -> RegistryFuture<'a, ReleaseOutcome> {
        Box::pin(async move { self.arrive().await?.release(session, releases).await })
    }

    fn locate<'a>(&'a self, id: &'a str, fresh: bool) -> RegistryFuture<'a, Located> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let mut stuck = self.stuck.subscribe();
            let is_free = |stuck: &Option<String>| stuck.as_deref() != Some(id);
            drop(stuck.wait_for(is_free).await.unwrap());
            let answer = self.arrive().await?.locate(id, fresh).await;
            if !self.lag.is_zero() {
                tokio::time::sleep(self.lag).await;
            }
            answer
        })
    }

    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<(ClientId, Stamp)>> {
        Box::pin(async move {
            self.listings_begun.fetch_add(1, Ordering::Relaxed);
            let delay = *self.listing.lock();
            tokio::time::sleep(delay).await;
            let page = self.arrive().await?.ids_of(session, from).await;
            self.listings_ended.fetch_add(1, Ordering::Relaxed);
            page
        })
    }

    fn expired(&self) -> RegistryFuture<'_, Vec<ExpiredNode>> {
        Box::pin(async move { self.arrive().await?.expired().await })
    }

    fn reap<'a>(&'a self, expired: &'a ExpiredNode, limit: usize) -> RegistryFuture<'a, bool> {
        Box::pin(async move { self.arrive().await?.reap(expired, limit).await })
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()> {
        Box::pin(async move { self.arrive().await?.set(id, address).await })
    }

    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()> {
        Box::pin(async move { self.arrive().await?.delete(id).await })
    }

    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64> {
        Box::pin(async move { self.arrive().await?.delete_node(address).await })
    }

    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>> {
        Box::pin(async move { self.arrive().await?.scan(from).await })
    }
}
