//! Releases: compare and delete.
//!
//! The first round reads the shadows, and clears away entries under this address that have none; the
//! second deletes what is to go, if it is still what was read. Invariant: only a shadow of this
//! address is deleted, and with it only an entry that names this address.

use super::{
    EtcdRegistry,
    batch::{self, BATCH, Fenced},
    call_error::Fault,
    layout::Shadow,
    rpc::{TxnRequest, TxnResponse, delete, delete_if, equals, get, modified},
};
use crate::{
    error::RegistryError,
    types::{NodeSession, Release, ReleaseOutcome},
};

const WHAT: &str = "release ids";

/// Rounds in which the shadow may change: each is a claim of another connection of this very node, or
/// of another node, which ends it.
const ROUNDS: u32 = 16;

/// An id that is not known to be given back yet.
struct PendingRelease<'a> {
    release: &'a Release,
    /// What is to be deleted; `None` while nothing was read.
    own: Option<Shadow>,
    rounds: u32,
}

impl EtcdRegistry {
    pub(super) async fn release_all(
        &self,
        session: &NodeSession,
        releases: &[Release],
    ) -> Result<ReleaseOutcome, RegistryError> {
        let new = |release| PendingRelease {
            release,
            own: None,
            rounds: 0,
        };
        let mut pending: Vec<_> = releases.iter().map(new).collect();
        while !pending.is_empty() {
            if pending.iter().any(|pending| pending.rounds >= ROUNDS) {
                let text = "others changed the same id all the time";
                return Err(RegistryError::new(WHAT, text));
            }
            let mut calls = Vec::new();
            while !pending.is_empty() {
                let batch: Vec<_> = pending.drain(..pending.len().min(BATCH)).collect();
                calls.push(self.release_batch(session, batch));
            }
            for answer in batch::all(calls).await {
                let Some(left) = answer.map_err(|fault| fault.into_error(WHAT))? else {
                    return Ok(ReleaseOutcome::Lost);
                };
                pending.extend(left);
            }
        }
        Ok(ReleaseOutcome::Done)
    }

    /// One round for some ids: those that are left; `None` if the session is lost.
    async fn release_batch<'a>(
        &self,
        session: &NodeSession,
        batch: Vec<PendingRelease<'a>>,
    ) -> Result<Option<Vec<PendingRelease<'a>>>, Fault> {
        let txns = batch.iter().map(|pending| self.give_back(session, pending));
        let answers = batch::fenced(&self.client, &self.layout, session, txns).await?;
        let Fenced::Done(answers) = answers else {
            return Ok(None);
        };
        let left = batch.into_iter().zip(answers);
        let left = left.filter_map(|(pending, answer)| pending.answered(session, answer));
        Ok(Some(left.collect()))
    }

    fn give_back(&self, session: &NodeSession, pending: &PendingRelease<'_>) -> TxnRequest {
        let id = &pending.release.id;
        let (place, own) = (self.layout.place(id), self.layout.shadow(id));
        let unplace = delete_if(place, session.address.to_string());
        let (compare, success) = match &pending.own {
            None => (modified(own.clone(), 0), vec![unplace]),
            Some(mine) => {
                let compare = equals(own.clone(), mine.value());
                (compare, vec![delete(own.clone()), unplace])
            }
        };
        TxnRequest {
            compare: vec![compare],
            success,
            failure: vec![get(own)],
        }
    }
}

impl PendingRelease<'_> {
    /// Itself, if there is something left to do.
    fn answered(mut self, session: &NodeSession, answer: TxnResponse) -> Option<Self> {
        if answer.succeeded {
            return None;
        }
        self.rounds += 1;
        match answer.reads().next().flatten() {
            // It went meanwhile; an entry without a shadow may be left.
            None => self.own = None,
            Some(kv) => {
                let due = |own: &Shadow| {
                    own.address == session.address && own.stamp <= self.release.up_to
                };
                self.own = Some(Shadow::read(&kv).filter(due)?);
            }
        }
        Some(self)
    }
}
