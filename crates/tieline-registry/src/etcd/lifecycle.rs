//! The lifecycle of a node: its lease, its key and its fencing token.
//!
//! The fencing token is the revision at which the node's key was last written. Every write of a node compares
//! it. So to write the key again is to fence: no request that was sent before is carried out after.
//! Invariant: the key is written only over the value that was read.

use std::time::Duration;

use uuid::Uuid;

use super::{
    batch::BATCH,
    call_error::CallError,
    client::RetrySafety,
    layout::{Shadow, node_process},
    registry::EtcdRegistry,
    rpc::{
        KeyValue, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest,
        LeaseTimeToLiveRequest, RangeRequest, TxnRequest, delete, get, put, revision_is,
    },
};
use crate::{
    id::ClientId,
    types::{Epoch, JoinOutcome, JoinRequest, LeaseInfo, NodeSession, Renewal, Stamp},
};

/// Rounds in which another process may be faster to write the node's key.
const MAX_ROUNDS: usize = 8;

/// The call that lists all keys of a lease may take this many timeouts.
const LIST_TIMEOUTS: u32 = 10;

/// The result of a write of the node's key.
enum NodeWrite {
    /// Written, at this revision.
    Written(i64),
    /// Not written: this is the key's value.
    Found(Option<KeyValue>),
}

/// The result of taking an address.
enum Takeover {
    /// The process has the address.
    Taken { fencing_token: i64 },
    /// Another process has it.
    Held { holder: Uuid },
}

impl EtcdRegistry {
    pub(super) async fn do_join(&self, request: &JoinRequest) -> Result<JoinOutcome, CallError> {
        self.clock.observe(request.now);
        if let Some(session) = self.continue_session(request).await? {
            return Ok(JoinOutcome::Joined(session, self.lease_info()));
        }
        let lease = LeaseGrantRequest {
            ttl: seconds(request.lease),
        };
        // If the response is lost, the lease expires by itself.
        let lease = self.client.call(RetrySafety::Idempotent, lease).await?;
        let joined = match self.take_over(request, lease.id).await? {
            Takeover::Taken { fencing_token } => NodeSession {
                address: request.address.clone(),
                process: request.process,
                ttl: Duration::from_secs(lease.ttl.unsigned_abs()),
                lease_id: lease.id,
                fencing_token,
            },
            Takeover::Held { holder } => {
                self.revoke(lease.id).await;
                return Ok(JoinOutcome::Busy(holder));
            }
        };
        Ok(JoinOutcome::Joined(joined, self.lease_info()))
    }

    /// Writes the node's key if there is none, or if its process may be replaced.
    async fn take_over(&self, request: &JoinRequest, lease: i64) -> Result<Takeover, CallError> {
        let is_replaceable = |holder| holder == request.process || Some(holder) == request.replace;
        let mut seen: Option<KeyValue> = None;
        for _ in 0..MAX_ROUNDS {
            let revision = seen.as_ref().map_or(0, |kv| kv.mod_revision);
            let write = self.write_node(&request.address, request.process, lease, revision);
            match write.await? {
                NodeWrite::Written(fencing_token) => {
                    self.revoke_replaced(request, seen.as_ref()).await;
                    return Ok(Takeover::Taken { fencing_token });
                }
                NodeWrite::Found(found) => match found.as_ref().and_then(node_process) {
                    Some(holder) if !is_replaceable(holder) => {
                        return Ok(Takeover::Held { holder });
                    }
                    _ => seen = found,
                },
            }
        }
        Err(CallError::Contention(
            "other processes kept taking and leaving the address",
        ))
    }

    /// The previous session with a new fencing token, if its lease lives: its entries stay.
    async fn continue_session(
        &self,
        request: &JoinRequest,
    ) -> Result<Option<NodeSession>, CallError> {
        let same = |session: &&NodeSession| {
            session.address == request.address
                && session.process == request.process
                && session.ttl >= request.lease
        };
        let Some(previous) = request.previous.as_ref().filter(same) else {
            return Ok(None);
        };
        if !self.renew_lease(previous.lease_id).await? {
            return Ok(None);
        }
        self.do_fence(previous).await
    }

    /// Renews a lease for its whole length. False if it has expired.
    async fn renew_lease(&self, lease: i64) -> Result<bool, CallError> {
        let request = LeaseKeepAliveRequest { id: lease };
        Ok(self
            .client
            .call(RetrySafety::Idempotent, request)
            .await?
            .ttl
            > 0)
    }

    /// Ends the lease of the process that was replaced, and with it the entries of that process. An earlier
    /// lease of this process is left to expire, so that its entries stay until they are claimed again.
    async fn revoke_replaced(&self, request: &JoinRequest, seen: Option<&KeyValue>) {
        if let Some(kv) = seen
            && kv.lease != 0
            && node_process(kv) != Some(request.process)
        {
            self.revoke(kv.lease).await;
        }
    }

    /// Ends a lease at once, if etcd can be reached; else it expires.
    async fn revoke(&self, lease: i64) {
        let request = LeaseRevokeRequest { id: lease };
        match self.client.call(RetrySafety::Idempotent, request).await {
            Ok(_) | Err(CallError::LeaseGone) => {}
            Err(error) => {
                tracing::debug!(?error, "failed to revoke an unused lease; it will expire");
            }
        }
    }

    /// Writes the node's key if it was last written at this revision.
    async fn write_node(
        &self,
        address: &str,
        process: Uuid,
        lease: i64,
        revision: i64,
    ) -> Result<NodeWrite, CallError> {
        let key = self.layout.node_key(address);
        let txn = TxnRequest {
            compare: vec![revision_is(key.clone(), revision)],
            success: vec![put(key.clone(), process.to_string(), lease)],
            failure: vec![get(key)],
        };
        // Idempotent: a second write finds another revision, and returns what the first has written.
        let response = self.client.call(RetrySafety::Idempotent, txn).await?;
        Ok(if response.succeeded {
            NodeWrite::Written(response.revision())
        } else {
            NodeWrite::Found(response.reads().next().flatten())
        })
    }

    pub(super) async fn do_fence(
        &self,
        session: &NodeSession,
    ) -> Result<Option<NodeSession>, CallError> {
        let (lease, token) = (session.lease_id, session.fencing_token);
        let write = self.write_node(&session.address, session.process, lease, token);
        let fencing_token = match write.await {
            Ok(NodeWrite::Written(token)) => token,
            // An earlier fence of this session, whose response was lost: its token is as good.
            Ok(NodeWrite::Found(Some(kv))) if is_of_session(&kv, session) => kv.mod_revision,
            Ok(NodeWrite::Found(_)) | Err(CallError::LeaseGone) => return Ok(None),
            Err(error) => return Err(error),
        };
        let session = session.clone();
        Ok(Some(NodeSession {
            fencing_token,
            ..session
        }))
    }

    /// Renews the lease, and at the same time reads whether the process still holds the address.
    pub(super) async fn do_renew(&self, session: &NodeSession) -> Result<Renewal, CallError> {
        let read = RangeRequest {
            key: self.layout.node_key(&session.address),
            ..RangeRequest::default()
        };
        let read = self.client.call(RetrySafety::Idempotent, read);
        let (renewed, found) = tokio::join!(self.renew_lease(session.lease_id), read);
        let held = renewed? && found?.kvs.iter().any(|kv| is_of_session(kv, session));
        Ok(if held {
            Renewal::Renewed(self.lease_info())
        } else {
            Renewal::Lost
        })
    }

    pub(super) async fn do_leave(&self, session: &NodeSession) -> Result<(), CallError> {
        let left = self.ids_under_lease(session).await?;
        // The leader may still list what was just released, but never more than one batch.
        if left.len() > BATCH || self.any_has_shadow(&left).await? {
            return Ok(());
        }
        let key = self.layout.node_key(&session.address);
        let txn = TxnRequest {
            compare: vec![revision_is(key.clone(), session.fencing_token)],
            success: vec![delete(key)],
            failure: Vec::new(),
        };
        if self
            .client
            .call(RetrySafety::SendOnce, txn)
            .await?
            .succeeded
        {
            self.revoke(session.lease_id).await;
        }
        Ok(())
    }

    /// Whether any of these ids has a shadow. The leader lists the keys of a lease as of the writes that it
    /// has applied; it may lag behind the server that answered the last release.
    async fn any_has_shadow(&self, ids: &[ClientId]) -> Result<bool, CallError> {
        if ids.is_empty() {
            return Ok(false);
        }
        let shadows = self.shadows_of(ids).await?;
        Ok(shadows.iter().any(Option::is_some))
    }

    /// The ids whose shadows are bound to a session's lease, with their stamps. A release needs the stamp.
    pub(super) async fn stamps_under_lease(
        &self,
        session: &NodeSession,
    ) -> Result<Vec<(ClientId, Stamp)>, CallError> {
        let ids = self.ids_under_lease(session).await?;
        let mut stamped = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let shadows = self.shadows_of(batch).await?;
            let found = batch.iter().zip(shadows);
            stamped.extend(found.filter_map(|(id, kv)| {
                let shadow = Shadow::parse(&kv?)?;
                Some((id.clone(), shadow.stamp))
            }));
        }
        Ok(stamped)
    }

    /// The shadows of up to [`BATCH`] ids, in order.
    async fn shadows_of(&self, ids: &[ClientId]) -> Result<Vec<Option<KeyValue>>, CallError> {
        let txn = TxnRequest {
            compare: Vec::new(),
            success: ids
                .iter()
                .map(|id| get(self.layout.shadow_key(id)))
                .collect(),
            failure: Vec::new(),
        };
        let response = self.client.call(RetrySafety::Idempotent, txn).await?;
        Ok(response.reads().collect())
    }

    /// The ids whose shadows are bound to a session's lease.
    pub(super) async fn ids_under_lease(
        &self,
        session: &NodeSession,
    ) -> Result<Vec<ClientId>, CallError> {
        let request = LeaseTimeToLiveRequest {
            id: session.lease_id,
            keys: true,
        };
        let response = self
            .client
            .call_for(LIST_TIMEOUTS, RetrySafety::Idempotent, request);
        let keys = response.await?.keys;
        Ok(keys
            .iter()
            .filter_map(|key| self.layout.id_of_shadow(key))
            .collect())
    }

    fn lease_info(&self) -> LeaseInfo {
        LeaseInfo {
            clock: self.clock.now(),
            epoch: Epoch::default(),
            entry_count: None,
            foreign_balance: None,
        }
    }
}

/// Whether this session wrote a node's key, with any fencing token.
fn is_of_session(kv: &KeyValue, session: &NodeSession) -> bool {
    kv.lease == session.lease_id && node_process(kv) == Some(session.process)
}

/// The lease in whole seconds, rounded up, at least one.
fn seconds(lease: Duration) -> i64 {
    let up = u64::from(lease.subsec_nanos() > 0);
    i64::try_from(lease.as_secs().saturating_add(up).max(1)).unwrap_or(i64::MAX)
}
