//! A simulated node: an address, a session and its claims.
//!
//! Owns the lease and the record of its claims, which makes their release possible. Must not know other
//! nodes or how long a round lasts. Invariant: a claim is recorded before it is requested.

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
        Claim, ClaimKind, ClaimOutcomes, JoinOutcome, JoinRequest, NodeReport, NodeSession,
        Registry, Release, ReleaseOutcome, Renewal, Stamp, Verdict,
    },
};
use tokio::task::AbortHandle;
use uuid::Uuid;

/// Claims in a batch, as in the library.
pub(super) const BATCH: usize = 512;
/// Batches of a node in flight at once, as in the library.
pub(super) const IN_FLIGHT: usize = 4;
/// The lease, after which the address of a killed node is free.
const LEASE: Duration = Duration::from_secs(10);
/// The timeout of a registry request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A node that claims ids. End it with [`Node::leave`].
#[derive(Debug)]
pub(super) struct Node {
    registry: Arc<dyn Registry>,
    session: NodeSession,
    /// The stamp of the next claim.
    stamp: AtomicU64,
    /// Claims that were granted, or may have been.
    claimed_ids: Mutex<Vec<Release>>,
    renewal: AbortHandle,
}

/// The result of a batch.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct BatchResult {
    pub(super) granted: u64,
    pub(super) failed: u64,
}

impl Node {
    /// Joins with its own address, and removes the entries that a killed node left under it.
    pub(super) async fn join(registry: Arc<dyn Registry>, number: u16) -> anyhow::Result<Self> {
        let address: Arc<str> = format!("bench-{number}.invalid:1").into();
        let request = JoinRequest {
            address: Arc::clone(&address),
            process: Uuid::now_v7(),
            replace: None,
            previous: None,
            now: Stamp::default(),
            lease: LEASE,
            has_connections: false,
        };
        let joined = with_timeout("join", async { Ok(registry.join(&request).await?) });
        let JoinOutcome::Joined(session, lease_info) = joined.await? else {
            bail!(
                "another measurement uses this --prefix, or one was killed within the last {} s",
                LEASE.as_secs()
            );
        };
        with_timeout("clear", async { Ok(registry.delete_node(&address).await?) }).await?;
        let renewal = tokio::spawn(renew(Arc::clone(&registry), session.clone()));
        Ok(Self {
            registry,
            session,
            // The stamps of the second half are later than those of the first by more than its claims.
            stamp: AtomicU64::new(lease_info.clock.0 + (u64::from(number) << 32)),
            claimed_ids: Mutex::default(),
            renewal: renewal.abort_handle(),
        })
    }

    /// Claims a batch of ids, which should be unclaimed, or another node's if `moved`.
    pub(super) async fn claim(
        &self,
        ids: Vec<ClientId>,
        moved: bool,
    ) -> anyhow::Result<BatchResult> {
        let count = ids.len() as u64;
        let first = self.stamp.fetch_add(count, Ordering::Relaxed);
        let claims = ids.into_iter().zip(first..).map(|(id, stamp)| Claim {
            id,
            stamp: Stamp(stamp),
            kind: ClaimKind::Fresh,
        });
        let claims: Vec<_> = claims.collect();
        // Recorded before the reply: the claims may be in effect even if it is lost.
        self.record(&claims);
        let claimed = self.registry.claim(&self.session, &claims);
        let claimed = with_timeout("claim", async { Ok(claimed.await?) }).await?;
        let ClaimOutcomes::Verdicts(verdicts) = claimed else {
            bail!("the lease of a node was lost while it claimed");
        };
        let as_expected = verdicts.iter().filter(|verdict| match verdict {
            Verdict::Granted { displaced } => displaced.is_some() == moved,
            Verdict::Taken { .. } => false,
        });
        let granted = as_expected.count() as u64;
        Ok(BatchResult {
            granted,
            failed: count - granted,
        })
    }

    fn record(&self, claims: &[Claim]) {
        let releases = claims.iter().map(|claim| Release {
            id: claim.id.clone(),
            up_to: claim.stamp,
        });
        self.claimed_ids.lock().extend(releases);
    }

    /// Releases all claims and the address.
    pub(super) async fn leave(&self) -> anyhow::Result<()> {
        let claimed_ids = std::mem::take(&mut *self.claimed_ids.lock());
        for releases in claimed_ids.chunks(BATCH) {
            let released = self.registry.release(&self.session, releases);
            if with_timeout("release", async { Ok(released.await?) }).await? == ReleaseOutcome::Lost
            {
                bail!("the lease of a node was lost before it released its claims");
            }
        }
        self.renewal.abort();
        let leaving = self.registry.leave(&self.session);
        with_timeout("leave", async { Ok(leaving.await?) }).await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Renews the lease until it is lost. A failed renewal shows in the next claim.
async fn renew(registry: Arc<dyn Registry>, session: NodeSession) {
    let mut due = tokio::time::interval(LEASE / 3);
    loop {
        due.tick().await;
        if let Ok(Renewal::Lost) = registry.renew(&session, NodeReport::default()).await {
            return;
        }
    }
}

/// Runs a registry request with a timeout.
pub(super) async fn with_timeout<T>(
    what: &str,
    reply: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let reply = tokio::time::timeout(REQUEST_TIMEOUT, reply).await;
    reply.unwrap_or_else(|_| {
        let seconds = REQUEST_TIMEOUT.as_secs();
        Err(anyhow::anyhow!(
            "registry request timed out after {seconds} s: {what}"
        ))
    })
}
