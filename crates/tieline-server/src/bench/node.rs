//! A node as its registry sees it: an address, a session, and what it claimed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::bail;
use parking_lot::Mutex;
use tieline::{
    ClientId,
    registry::{
        Claim, ClaimKind, ClaimOutcomes, JoinOutcome, JoinRequest, NodeSession, Registry, Release,
        ReleaseOutcome, Renewal, Stamp, Verdict,
    },
};
use tokio::task::AbortHandle;
use uuid::Uuid;

/// Claims in a batch, as `tieline::claims` has it.
pub(super) const BATCH: usize = 512;
/// Batches of a node that are under way at once, as there.
pub(super) const IN_FLIGHT: usize = 4;
/// How long a node that was killed keeps its address.
const LEASE: Duration = Duration::from_secs(10);
/// How long the registry may take for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A node that claims; leaves by [`Node::leave`].
#[derive(Debug)]
pub(super) struct Node {
    registry: Arc<dyn Registry>,
    session: NodeSession,
    /// The stamp of its next claim.
    stamp: AtomicU64,
    /// What it was granted, or may have been.
    held: Mutex<Vec<Release>>,
    heart: AbortHandle,
}

/// What became of a batch.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Granted {
    pub(super) granted: u64,
    pub(super) failed: u64,
}

impl Node {
    /// Takes an address of its own, and removes what a node that was killed left under it.
    pub(super) async fn join(registry: Arc<dyn Registry>, number: u16) -> anyhow::Result<Self> {
        let address: Arc<str> = format!("bench-{number}.invalid:1").into();
        let request = JoinRequest {
            address: Arc::clone(&address),
            process: Uuid::now_v7(),
            replace: None,
            previous: None,
            now: Stamp::default(),
            lease: LEASE,
        };
        let joined = within("join", async { Ok(registry.join(&request).await?) });
        let JoinOutcome::Joined(session, lease_info) = joined.await? else {
            bail!(
                "another measurement runs under this --prefix, or one was killed within the last {} s",
                LEASE.as_secs()
            );
        };
        within("clear", async { Ok(registry.delete_node(&address).await?) }).await?;
        let heart = tokio::spawn(renew(Arc::clone(&registry), session.clone()));
        Ok(Self {
            registry,
            session,
            // Each half of the nodes is newer than the one before, by more than it has claims.
            stamp: AtomicU64::new(lease_info.clock.0 + (u64::from(number) << 32)),
            held: Mutex::default(),
            heart: heart.abort_handle(),
        })
    }

    /// Claims a batch of ids, each of which is to be free, or another's where `moved`.
    pub(super) async fn claim(&self, ids: Vec<ClientId>, moved: bool) -> anyhow::Result<Granted> {
        let count = ids.len() as u64;
        let first = self.stamp.fetch_add(count, Ordering::Relaxed);
        let claims = ids.into_iter().zip(first..).map(|(id, stamp)| Claim {
            id,
            stamp: Stamp(stamp),
            kind: ClaimKind::Fresh,
        });
        let claims: Vec<_> = claims.collect();
        // Before the answer, which may be lost while the claims are not.
        self.hold(&claims);
        let claimed = self.registry.claim(&self.session, &claims);
        let claimed = within("claim", async { Ok(claimed.await?) }).await?;
        let ClaimOutcomes::Verdicts(verdicts) = claimed else {
            bail!("the registry has lost a node while it claimed");
        };
        let as_meant = verdicts.iter().filter(|verdict| match verdict {
            Verdict::Granted { displaced } => displaced.is_some() == moved,
            Verdict::Taken { .. } => false,
        });
        let granted = as_meant.count() as u64;
        Ok(Granted {
            granted,
            failed: count - granted,
        })
    }

    fn hold(&self, claims: &[Claim]) {
        let releases = claims.iter().map(|claim| Release {
            id: claim.id.clone(),
            up_to: claim.stamp,
        });
        self.held.lock().extend(releases);
    }

    /// Gives back what it holds, and its address.
    pub(super) async fn leave(&self) -> anyhow::Result<()> {
        let held = std::mem::take(&mut *self.held.lock());
        for releases in held.chunks(BATCH) {
            let released = self.registry.release(&self.session, releases);
            if within("release", async { Ok(released.await?) }).await? == ReleaseOutcome::Lost {
                bail!("the registry has lost a node before it gave back its ids");
            }
        }
        self.heart.abort();
        let leaving = self.registry.leave(&self.session);
        within("leave", async { Ok(leaving.await?) }).await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.heart.abort();
    }
}

/// Renews the lease, for ever: a beat that fails shows in the next claim.
async fn renew(registry: Arc<dyn Registry>, session: NodeSession) {
    let mut due = tokio::time::interval(LEASE / 3);
    loop {
        due.tick().await;
        if let Ok(Renewal::Lost) = registry.renew(&session, Stamp::default()).await {
            return;
        }
    }
}

/// An answer within the deadline.
pub(super) async fn within<T>(
    what: &str,
    answer: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let answer = tokio::time::timeout(ANSWER, answer).await;
    answer.unwrap_or_else(|_| {
        let seconds = ANSWER.as_secs();
        Err(anyhow::anyhow!("no answer within {seconds} s: {what}"))
    })
}
