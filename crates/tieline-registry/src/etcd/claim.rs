//! Claims: compare and swap, batch by batch, until each has its verdict.
//!
//! The first round bets that nobody has the id. Where that fails it has read what stands there, and
//! the next round swaps exactly that; so two rounds do unless others change the same id meanwhile.
//! Invariant: a verdict is read, or written, at a revision at which the session was the current one.

use std::{collections::HashSet, sync::Arc};

use super::{
    EtcdRegistry,
    batch::{self, BATCH, Fenced},
    contest::{Decision, Seen},
    fault::Fault,
    layout::Own,
    wire::{TxnRequest, TxnResponse, get, modified, put},
};
use crate::{
    error::RegistryError,
    types::{Claim, Claimed, Session, Stamp, Verdict},
};

const WHAT: &str = "claim ids";

/// Rounds in which others may be faster. Somebody wins each of them, and stamps end every contest, so
/// more than a few mean that something else writes there all the time.
const ROUNDS: u32 = 16;

/// A claim without a verdict yet.
struct Open<'a> {
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
        session: &Session,
        claims: &[Claim],
    ) -> Result<Claimed, RegistryError> {
        let mut verdicts = vec![None; claims.len()];
        let mut open: Vec<_> = claims.iter().enumerate().map(Open::new).collect();
        while !open.is_empty() {
            // etcd writes no key twice in one transaction.
            let mut ids = HashSet::with_capacity(open.len());
            let (mut round, later): (Vec<_>, Vec<_>) = open
                .into_iter()
                .partition(|open| ids.insert(open.claim.id.clone()));
            let batches = round.chunks_mut(BATCH);
            let work: Vec<_> = batches
                .map(|batch| self.claim_batch(session, batch))
                .collect();
            let answers = batch::all(work).await;
            for answer in answers {
                let Some(decided) = answer.map_err(|fault| fault.into_error(WHAT))? else {
                    return Ok(Claimed::Lost);
                };
                for (index, verdict) in decided {
                    verdicts[index] = Some(verdict);
                }
            }
            round.retain(|open| verdicts[open.index].is_none());
            if round.iter().any(|open| open.rounds >= ROUNDS) {
                let text = "others changed the same id all the time";
                return Err(RegistryError::new(WHAT, text));
            }
            round.extend(later);
            open = round;
        }
        Ok(Claimed::Verdicts(verdicts.into_iter().flatten().collect()))
    }

    /// One round for some claims: those that were decided; `None` if the session is lost.
    async fn claim_batch(
        &self,
        session: &Session,
        batch: &mut [Open<'_>],
    ) -> Result<Option<Vec<(usize, Verdict)>>, Fault> {
        let txns = batch.iter().map(|open| self.swap(session, open));
        let answers = batch::fenced(&self.client, &self.layout, session, txns).await?;
        let Fenced::Done(answers) = answers else {
            return Ok(None);
        };
        let decide = |(open, answer): (&mut Open<'_>, _)| {
            let verdict = open.answered(session, answer)?;
            Some((open.index, verdict))
        };
        let decided = batch.iter_mut().zip(answers).filter_map(decide).collect();
        let stamps = batch.iter().filter_map(|open| open.seen.stamp());
        stamps.for_each(|stamp| self.clock.observe(stamp));
        Ok(Some(decided))
    }

    /// Writes both keys if they are as they were seen; else reads them.
    fn swap(&self, session: &Session, open: &Open<'_>) -> TxnRequest {
        let id = &open.claim.id;
        let (place, own) = (self.layout.place(id), self.layout.own(id));
        let unless = open.unless.as_ref().map(|node| self.layout.node(node));
        let (placed, owned) = open.seen.revisions();
        let value = Own {
            stamp: open.stamp,
            address: session.address.clone(),
        };
        let mut txn = TxnRequest {
            compare: vec![
                modified(place.clone(), placed),
                modified(own.clone(), owned),
            ],
            success: vec![
                put(place.clone(), session.address.to_string(), session.lease),
                put(own.clone(), value.value(), session.lease),
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

impl<'a> Open<'a> {
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
    fn answered(&mut self, session: &Session, answer: TxnResponse) -> Option<Verdict> {
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
