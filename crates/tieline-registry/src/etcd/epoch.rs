//! Whether the absence of an id is certain.
//!
//! Owns two kinds of keys. The epoch has no lease: if it is missing, the entries may be missing, too, and who
//! notices it begins a new one. A mark says that entries may be missing: one for each
//! node that joined with connections, until it has claimed them all, and one for everyone in a new epoch,
//! for one lease, until all nodes that live have joined. Without any mark, what has no entry is offline.
//!
//! Invariants: marks are written and removed behind the node's fence, so that a late request cannot remove
//! the mark of a later session; a mark ends with the lease of its node.

use super::{
    call_error::CallError,
    client::RetrySafety,
    registry::EtcdRegistry,
    rpc::{KeyValue, RequestOp, TxnRequest, delete, get, put, revision_is, value_is},
};
use crate::types::{Epoch, NodeSession};

/// The value of the mark for everyone if a lookup began the epoch, before any node had joined.
const LOOKUP: &str = "lookup";

/// The lease of that mark, in seconds: no node has one longer than a day.
const LONGEST_LEASE: i64 = 86_400;

impl EtcdRegistry {
    /// The epoch, for a node that joins or renews. If it is missing, begins one, with a mark for everyone for
    /// this lease, in seconds.
    pub(super) async fn epoch_of_node(&self, lease: i64) -> Result<Epoch, CallError> {
        let everyone = self.layout.mark_of_everyone();
        let reads = vec![get(self.layout.epoch_key()), get(everyone.clone())];
        let mut found = self.read(RetrySafety::Idempotent, reads).await?;
        let mut next = || found.next().flatten();
        let (epoch, mark) = (next(), next());
        let Some(epoch) = epoch.as_ref().and_then(parse) else {
            return self.begin_epoch(lease, "").await;
        };
        // The lease that it has is long enough for any node. Now that one has joined, its own is enough.
        if let Some(mark) = mark.filter(|mark| mark.value == LOOKUP) {
            let (lease, _) = self.grant(lease).await?;
            let txn = TxnRequest {
                compare: vec![value_is(everyone.clone(), LOOKUP)],
                success: vec![put(everyone, "", lease)],
                failure: Vec::new(),
            };
            self.client.call(RetrySafety::Idempotent, txn).await?;
            self.revoke(mark.lease).await;
        }
        Ok(epoch)
    }

    /// Begins an epoch because a lookup found none.
    pub(super) async fn begin_epoch_by_lookup(&self) -> Result<(), CallError> {
        self.begin_epoch(LONGEST_LEASE, LOOKUP).await.map(drop)
    }

    /// Begins an epoch, with a mark for everyone, unless another call does so first.
    async fn begin_epoch(&self, lease: i64, mark: &'static str) -> Result<Epoch, CallError> {
        let key = self.layout.epoch_key();
        let (lease, _) = self.grant(lease).await?;
        let new = Epoch(self.clock.now().0);
        let begin = TxnRequest {
            compare: vec![revision_is(key.clone(), 0)],
            success: vec![
                put(key.clone(), new.0.to_string(), 0),
                put(self.layout.mark_of_everyone(), mark, lease),
            ],
            failure: vec![get(key.clone())],
        };
        // Idempotent: a second write finds the first.
        let response = self.client.call(RetrySafety::Idempotent, begin).await?;
        if response.succeeded {
            return Ok(new);
        }
        self.revoke(lease).await;
        let found = response.reads().next().flatten();
        found.as_ref().and_then(parse).ok_or_else(|| {
            let key = String::from_utf8_lossy(&key);
            CallError::Rejected(format!("another program wrote the key {key}; delete it"))
        })
    }

    /// Marks a node that joins, or removes the mark that a former process has left.
    pub(super) fn mark_joining(
        &self,
        address: &str,
        lease: i64,
        has_connections: bool,
    ) -> RequestOp {
        let mark = self.layout.mark_of(address);
        if has_connections {
            put(mark, "", lease)
        } else {
            delete(mark)
        }
    }

    /// Marks a node whose entries may be missing.
    pub(super) async fn mark(&self, session: &NodeSession) -> Result<(), CallError> {
        let mark = self.layout.mark_of(&session.address);
        let txn = TxnRequest {
            compare: vec![self.is_current(session)],
            success: vec![put(mark, "", session.lease_id)],
            failure: Vec::new(),
        };
        let marked = self.client.call(RetrySafety::Idempotent, txn).await;
        marked.map(drop)
    }

    /// Removes the mark of a node that has refilled in this epoch, if it is still the one that was read: a
    /// late request must not remove another one. If that fails, the next renewal repeats it.
    pub(super) async fn unmark(&self, session: &NodeSession, mark: &KeyValue, epoch: Epoch) {
        let is_epoch = value_is(self.layout.epoch_key(), epoch.0.to_string());
        let is_seen = revision_is(mark.key.clone(), mark.mod_revision);
        let txn = TxnRequest {
            compare: vec![self.is_current(session), is_epoch, is_seen],
            success: vec![delete(mark.key.clone())],
            failure: Vec::new(),
        };
        if let Err(error) = self.client.call(RetrySafety::Idempotent, txn).await {
            tracing::debug!(?error, "failed to report that this node has refilled");
        }
    }
}

/// The epoch in the value of its key; `None` if no node can have written it.
pub(super) fn parse(kv: &KeyValue) -> Option<Epoch> {
    let epoch = std::str::from_utf8(&kv.value).ok()?.parse().ok()?;
    Some(Epoch(epoch)).filter(|epoch| *epoch != Epoch::default())
}
