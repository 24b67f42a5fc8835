//! Releases: compare-and-delete.
//!
//! The first round reads the shadows, and deletes entries with this address that have none. The second
//! round deletes the shadows and entries to release, if they are still what was read. Invariant: only a
//! shadow with this address is deleted, and with it only an entry with this address.

use super::{
    batch::{self, BATCH, Fenced},
    call_error::CallError,
    layout::Shadow,
    registry::EtcdRegistry,
    rpc::{TxnRequest, TxnResponse, delete, delete_if, get, revision_is, value_is},
};
use crate::types::{NodeSession, Release, ReleaseOutcome};

/// Rounds in which the shadow may change. Each change is a claim of this node or of another one; after a
/// claim of another node, nothing is left to release.
const MAX_ROUNDS: u32 = 16;

/// A release that may not be carried out yet.
struct PendingRelease<'a> {
    release: &'a Release,
    /// The shadow to delete; `None` if none was read.
    shadow: Option<Shadow>,
    rounds: u32,
}

impl EtcdRegistry {
    pub(super) async fn do_release(
        &self,
        session: &NodeSession,
        releases: &[Release],
    ) -> Result<ReleaseOutcome, CallError> {
        let new = |release| PendingRelease {
            release,
            shadow: None,
            rounds: 0,
        };
        let mut pending: Vec<_> = releases.iter().map(new).collect();
        while !pending.is_empty() {
            if pending.iter().any(|pending| pending.rounds >= MAX_ROUNDS) {
                return Err(CallError::Contention(
                    "other nodes kept changing the same id",
                ));
            }
            let mut calls = Vec::new();
            while !pending.is_empty() {
                let batch: Vec<_> = pending.drain(..pending.len().min(BATCH)).collect();
                calls.push(self.release_batch(session, batch));
            }
            for response in batch::join_bounded(calls).await {
                let Some(left) = response? else {
                    return Ok(ReleaseOutcome::Lost);
                };
                pending.extend(left);
            }
        }
        Ok(ReleaseOutcome::Done)
    }

    /// One round for a batch: the releases that need another one; `None` if the session is lost.
    async fn release_batch<'a>(
        &self,
        session: &NodeSession,
        batch: Vec<PendingRelease<'a>>,
    ) -> Result<Option<Vec<PendingRelease<'a>>>, CallError> {
        let txns = batch
            .iter()
            .map(|pending| self.compare_and_delete(session, pending));
        let responses = batch::fenced(&self.client, &self.layout, session, txns).await?;
        let Fenced::Done(responses) = responses else {
            return Ok(None);
        };
        let is_deleted = |(pending, response): &(PendingRelease<'_>, TxnResponse)| {
            response.succeeded && pending.shadow.is_some()
        };
        let answered: Vec<_> = batch.into_iter().zip(responses).collect();
        let deleted = answered.iter().filter(|answered| is_deleted(answered));
        self.leases.on_deleted(session, deleted.count());
        let left = answered.into_iter();
        let left = left.filter_map(|(pending, response)| pending.on_response(session, response));
        Ok(Some(left.collect()))
    }

    fn compare_and_delete(
        &self,
        session: &NodeSession,
        pending: &PendingRelease<'_>,
    ) -> TxnRequest {
        let key = pending.release.id.key();
        let (entry, shadow) = (self.layout.entry_key(key), self.layout.shadow_key(key));
        let delete_entry = entry.map(|entry| delete_if(entry, session.address.to_string()));
        let (compare, delete_shadow) = match &pending.shadow {
            None => (revision_is(shadow.clone(), 0), None),
            Some(seen) => {
                let compare = value_is(shadow.clone(), seen.value());
                (compare, Some(delete(shadow.clone())))
            }
        };
        TxnRequest {
            compare: vec![compare],
            success: delete_shadow.into_iter().chain(delete_entry).collect(),
            failure: vec![get(shadow)],
        }
    }
}

impl PendingRelease<'_> {
    /// The release, if another round is needed.
    fn on_response(mut self, session: &NodeSession, response: TxnResponse) -> Option<Self> {
        if response.succeeded {
            return None;
        }
        self.rounds += 1;
        match response.reads().next().flatten() {
            // The shadow is gone; an entry without one may be left.
            None => self.shadow = None,
            Some(kv) => {
                let is_due = |shadow: &Shadow| {
                    shadow.address == session.address && shadow.stamp <= self.release.up_to
                };
                self.shadow = Some(Shadow::parse(&kv).filter(is_due)?);
            }
        }
        Some(self)
    }
}
