//! Claims: compare-and-swap, in batches, until each claim has its verdict.
//!
//! The first round assumes that the id is free. If it is not, the same transaction reads the keys, and the
//! next round swaps exactly these values. So two rounds are enough, unless other nodes change the same id
//! in between. Invariant: a verdict is read or written at a revision at which the fencing token was the
//! current one.

use std::{collections::HashSet, sync::Arc};

use super::{
    batch::{self, BATCH, Fenced},
    call_error::CallError,
    conflict::{Decision, Observed},
    layout::{Shadow, is_shared},
    registry::EtcdRegistry,
    rpc::{TxnRequest, TxnResponse, get, put, revision_is},
};
use crate::types::{Claim, ClaimOutcomes, NodeSession, Stamp, Verdict};

/// Rounds in which another node may be faster. Each round has a winner, and the latest stamp wins for good,
/// so more rounds mean that another program keeps writing the same id.
const MAX_ROUNDS: u32 = 16;

/// A claim without a verdict yet.
struct PendingClaim<'a> {
    index: usize,
    claim: &'a Claim,
    /// The lease that the keys are bound to, if they are written.
    lease: i64,
    /// The keys, as of the last round.
    observed: Observed,
    /// The stamp to write.
    stamp: Stamp,
    /// The node that the write displaces.
    displaced: Option<Arc<str>>,
    /// Writes only if this node is not registered.
    unless_registered: Option<Arc<str>>,
    rounds: u32,
}

impl EtcdRegistry {
    pub(super) async fn do_claim(
        &self,
        session: &NodeSession,
        claims: &[Claim],
    ) -> Result<ClaimOutcomes, CallError> {
        let mut verdicts = vec![None; claims.len()];
        let leases = self.leases_for(session, claims.len()).await?;
        let pending = claims.iter().zip(leases).enumerate();
        let mut pending: Vec<_> = pending.map(PendingClaim::new).collect();
        while !pending.is_empty() {
            // etcd rejects a transaction that writes a key twice.
            let mut ids = HashSet::with_capacity(pending.len());
            let (mut round, later): (Vec<_>, Vec<_>) = pending
                .into_iter()
                .partition(|pending| ids.insert(pending.claim.id.clone()));
            let batches = round.chunks_mut(BATCH);
            let calls: Vec<_> = batches
                .map(|batch| self.claim_batch(session, batch))
                .collect();
            let responses = batch::join_bounded(calls).await;
            for response in responses {
                let Some(decided) = response? else {
                    return Ok(ClaimOutcomes::Lost);
                };
                for (index, verdict) in decided {
                    verdicts[index] = Some(verdict);
                }
            }
            round.retain(|pending| verdicts[pending.index].is_none());
            if round.iter().any(|pending| pending.rounds >= MAX_ROUNDS) {
                return Err(CallError::Contention(
                    "other nodes kept changing the same id",
                ));
            }
            round.extend(later);
            pending = round;
        }
        Ok(ClaimOutcomes::Verdicts(
            verdicts.into_iter().flatten().collect(),
        ))
    }

    /// One round for a batch: the verdicts so far, by index; `None` if the session is lost.
    async fn claim_batch(
        &self,
        session: &NodeSession,
        batch: &mut [PendingClaim<'_>],
    ) -> Result<Option<Vec<(usize, Verdict)>>, CallError> {
        let txns = batch
            .iter()
            .map(|pending| self.compare_and_swap(session, pending));
        let responses = batch::fenced(&self.client, &self.layout, session, txns).await?;
        let Fenced::Done(responses) = responses else {
            return Ok(None);
        };
        let is_leased = |lease| self.leases.holds(session, lease);
        let mut written = 0;
        let decide = |(pending, response): (&mut PendingClaim<'_>, TxnResponse)| {
            written += usize::from(response.succeeded && !pending.observed.is_counted(is_leased));
            let verdict = pending.on_response(session, response, is_leased)?;
            Some((pending.index, verdict))
        };
        let decided = batch.iter_mut().zip(responses).filter_map(decide).collect();
        self.leases.on_written(session, written);
        let stamps = batch.iter().filter_map(|pending| pending.observed.stamp());
        stamps.for_each(|stamp| self.clock.observe(stamp));
        Ok(Some(decided))
    }

    /// Writes the entry, if there is one, and its shadow if they are as observed; else reads them.
    fn compare_and_swap(&self, session: &NodeSession, pending: &PendingClaim<'_>) -> TxnRequest {
        let key = pending.claim.id.key();
        let (entry, shadow) = (self.layout.entry_key(key), self.layout.shadow_key(key));
        let unless_registered = pending
            .unless_registered
            .as_ref()
            .map(|node| self.layout.node_key(node));
        let (entry_revision, shadow_revision) = pending.observed.revisions();
        let value = Shadow {
            stamp: pending.stamp,
            address: session.address.clone(),
        };
        let mut txn = TxnRequest::default();
        if let Some(entry) = entry {
            let address = session.address.to_string();
            txn.compare.push(revision_is(entry.clone(), entry_revision));
            txn.success.push(put(entry.clone(), address, pending.lease));
            txn.failure.push(get(entry));
        }
        txn.compare
            .push(revision_is(shadow.clone(), shadow_revision));
        txn.success
            .push(put(shadow.clone(), value.value(), pending.lease));
        txn.failure.push(get(shadow));
        if let Some(node) = unless_registered {
            txn.compare.push(revision_is(node.clone(), 0));
            txn.failure.push(get(node));
        }
        txn
    }
}

impl<'a> PendingClaim<'a> {
    fn new((index, (claim, lease)): (usize, (&'a Claim, i64))) -> Self {
        Self {
            index,
            claim,
            lease,
            observed: Observed::default(),
            stamp: claim.stamp,
            displaced: None,
            unless_registered: None,
            rounds: 0,
        }
    }

    /// The verdict; `None` if another round is needed.
    fn on_response(
        &mut self,
        session: &NodeSession,
        response: TxnResponse,
        is_leased: impl Fn(i64) -> bool,
    ) -> Option<Verdict> {
        if response.succeeded {
            let displaced = self.displaced.take();
            return Some(Verdict::Granted { displaced });
        }
        self.rounds += 1;
        let is_shared = is_shared(self.claim.id.key());
        let node = self.unless_registered.as_ref();
        self.observed = Observed::new(response.reads(), is_shared, node);
        match self.observed.decide(session, self.claim, is_leased) {
            Decision::Taken { by } => Some(Verdict::Taken { by }),
            Decision::AlreadyWritten => Some(Verdict::Granted { displaced: None }),
            Decision::Write {
                stamp,
                displaced,
                unless_registered,
            } => {
                self.stamp = stamp;
                self.displaced = displaced;
                self.unless_registered = unless_registered;
                None
            }
        }
    }
}
