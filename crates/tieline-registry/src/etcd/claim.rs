//! Claims: compare and swap, batch by batch, until each has its verdict.
//!
//! The first round bets that nobody has the id. Where that fails it has read what stands there, and
//! the next round swaps exactly that; so two rounds do unless others change the same id meanwhile.
//! Invariant: a verdict is read, or written, at a revision at which the session was the current one.

use std::{collections::HashSet, sync::Arc};

use super::{
    EtcdRegistry,
    batch::{self, BATCH, Fenced},
    call_error::Fault,
    conflict::{Decision, Seen},
    layout::Shadow,
    rpc::{TxnRequest, TxnResponse, get, modified, put},
};
use crate::{
    error::RegistryError,
    types::{Claim, ClaimOutcomes, NodeSession, Stamp, Verdict},
};

const WHAT: &str = "claim ids";

/// Rounds in which others may be faster. Somebody wins each of them, and stamps end every contest, so
/// more than a few mean that something else writes there all the time.
const ROUNDS: u32 = 16;

/// A claim without a verdict yet.
struct PendingClaim<'a> {
    index: usize,
    claim: &'a Claim,
    seen: Seen,
    /// With what it would win over what was seen.
    stamp: Stamp,
    displaced: Option<Arc<str>>,
    unless: Option<Arc<str>>,
    rounds: u32,
}

impl EtcdRegistry {
    pub(super) async fn claim_all(
        &self,
        session: &NodeSession,
        claims: &[Claim],
    ) -> Result<ClaimOutcomes, RegistryError> {
        let mut verdicts = vec![None; claims.len()];
        let mut pending: Vec<_> = claims.iter().enumerate().map(PendingClaim::new).collect();
        while !pending.is_empty() {
            // etcd writes no key twice in one transaction.
            let mut ids = HashSet::with_capacity(pending.len());
            let (mut round, later): (Vec<_>, Vec<_>) = pending
                .into_iter()
                .partition(|pending| ids.insert(pending.claim.id.clone()));
            let batches = round.chunks_mut(BATCH);
            let calls: Vec<_> = batches
                .map(|batch| self.claim_batch(session, batch))
                .collect();
            let answers = batch::all(calls).await;
            for answer in answers {
                let Some(decided) = answer.map_err(|fault| fault.into_error(WHAT))? else {
                    return Ok(ClaimOutcomes::Lost);
                };
                for (index, verdict) in decided {
                    verdicts[index] = Some(verdict);
                }
            }
            round.retain(|pending| verdicts[pending.index].is_none());
            if round.iter().any(|pending| pending.rounds >= ROUNDS) {
                let text = "others changed the same id all the time";
                return Err(RegistryError::new(WHAT, text));
            }
            round.extend(later);
            pending = round;
        }
        Ok(ClaimOutcomes::Verdicts(
            verdicts.into_iter().flatten().collect(),
        ))
    }

    /// One round for some claims: those that were decided; `None` if the session is lost.
    async fn claim_batch(
        &self,
        session: &NodeSession,
        batch: &mut [PendingClaim<'_>],
    ) -> Result<Option<Vec<(usize, Verdict)>>, Fault> {
        let txns = batch.iter().map(|pending| self.swap(session, pending));
        let answers = batch::fenced(&self.client, &self.layout, session, txns).await?;
        let Fenced::Done(answers) = answers else {
            return Ok(None);
        };
        let decide = |(pending, answer): (&mut PendingClaim<'_>, _)| {
            let verdict = pending.answered(session, answer)?;
            Some((pending.index, verdict))
        };
        let decided = batch.iter_mut().zip(answers).filter_map(decide).collect();
        let stamps = batch.iter().filter_map(|pending| pending.seen.stamp());
        stamps.for_each(|stamp| self.clock.observe(stamp));
        Ok(Some(decided))
    }

    /// Writes both keys if they are as they were seen; else reads them.
    fn swap(&self, session: &NodeSession, pending: &PendingClaim<'_>) -> TxnRequest {
        let id = &pending.claim.id;
        let (place, own) = (self.layout.place(id), self.layout.shadow(id));
        let unless = pending.unless.as_ref().map(|node| self.layout.node(node));
        let (placed, owned) = pending.seen.revisions();
        let value = Shadow {
            stamp: pending.stamp,
            address: session.address.clone(),
        };
        let mut txn = TxnRequest {
            compare: vec![
                modified(place.clone(), placed),
                modified(own.clone(), owned),
            ],
            success: vec![
                put(place.clone(), session.address.to_string(), session.lease_id),
                put(own.clone(), value.value(), session.lease_id),
            ],
            failure: vec![get(place), get(own)],
        };
        if let Some(node) = unless {
            txn.compare.push(modified(node.clone(), 0));
            txn.failure.push(get(node));
        }
        txn
    }
}

impl<'a> PendingClaim<'a> {
    fn new((index, claim): (usize, &'a Claim)) -> Self {
        Self {
            index,
            claim,
            seen: Seen::default(),
            stamp: claim.stamp,
            displaced: None,
            unless: None,
            rounds: 0,
        }
    }

    /// The verdict, unless it has to be tried again.
    fn answered(&mut self, session: &NodeSession, answer: TxnResponse) -> Option<Verdict> {
        if answer.succeeded {
            let displaced = self.displaced.take();
            return Some(Verdict::Granted { displaced });
        }
        self.rounds += 1;
        self.seen = Seen::new(answer.reads(), self.unless.as_ref());
        match self.seen.decide(session, self.claim) {
            Decision::Taken { by } => Some(Verdict::Taken { by }),
            Decision::Stands => Some(Verdict::Granted { displaced: None }),
            Decision::Write {
                stamp,
                displaced,
                unless,
            } => {
                self.stamp = stamp;
                self.displaced = displaced;
                self.unless = unless;
                None
            }
        }
    }
}
