//! The lifecycle of a node: its lease, its key and its fencing token.
//!
//! The fencing token is the revision at which the node's key was last written. Every write of a node compares
//! it. So to write the key again is to fence: no request that was sent before is carried out after.
//! Invariant: the key is written only over the value that was read.

use std::time::Duration;

use uuid::Uuid;

use super::{
    batch,
    call_error::CallError,
    client::RetrySafety,
    epoch,
    layout::node_process,
    leases::LeasesRenewed,
    registry::EtcdRegistry,
    rpc::{KeyValue, RequestOp, TxnRequest, delete, get, put, revision_is},
};
use crate::types::{Epoch, JoinOutcome, JoinRequest, LeaseInfo, NodeReport, NodeSession, Renewal};

/// Rounds in which another process may be faster to write the node's key.
const MAX_ROUNDS: usize = 8;

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
        // First, so that no node is there without an epoch.
        let epoch = self.epoch_of_node(seconds(request.lease)).await?;
        if let Some(session) = self.continue_session(request).await? {
            return Ok(JoinOutcome::Joined(session, self.lease_info(epoch)));
        }
        let (lease, ttl) = self.grant(seconds(request.lease)).await?;
        let joined = match self.take_over(request, lease).await? {
            Takeover::Taken { fencing_token } => NodeSession {
                address: request.address.clone(),
                process: request.process,
                ttl: Duration::from_secs(ttl.unsigned_abs()),
                lease_id: lease,
                fencing_token,
            },
            Takeover::Held { holder } => {
                self.revoke(lease).await;
                return Ok(JoinOutcome::Busy(holder));
            }
        };
        Ok(JoinOutcome::Joined(joined, self.lease_info(epoch)))
    }

    /// Writes the node's key if there is none, or if its process may be replaced.
    async fn take_over(&self, request: &JoinRequest, lease: i64) -> Result<Takeover, CallError> {
        let is_replaceable = |holder| holder == request.process || Some(holder) == request.replace;
        let mut seen: Option<KeyValue> = None;
        for _ in 0..MAX_ROUNDS {
            let revision = seen.as_ref().map_or(0, |kv| kv.mod_revision);
            let mark = self.mark_joining(&request.address, lease, request.has_connections);
            let (address, process) = (&request.address, request.process);
            let write = self.write_node(address, process, lease, revision, Some(mark));
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
        // The node compares after each join, so an entry that ended with its lease is claimed again.
        if self.renew_leases(previous).await? == LeasesRenewed::Lost {
            self.leases.forget(previous);
            return Ok(None);
        }
        let fenced = self.do_fence(previous).await?;
        if let Some(session) = fenced.as_ref().filter(|_| request.has_connections) {
            self.mark(session).await?;
        }
        Ok(fenced)
    }

    /// Ends the lease of the process that was replaced; its further leases expire, because it renews them
    /// only while it holds the address. An earlier lease of this process is left to expire, so that its
    /// entries stay until they are claimed again.
    async fn revoke_replaced(&self, request: &JoinRequest, seen: Option<&KeyValue>) {
        if let Some(kv) = seen
            && kv.lease != 0
            && node_process(kv) != Some(request.process)
        {
            self.revoke(kv.lease).await;
        }
    }

    /// Writes the node's key, and the mark, if the key was last written at this revision.
    async fn write_node(
        &self,
        address: &str,
        process: Uuid,
        lease: i64,
        revision: i64,
        mark: Option<RequestOp>,
    ) -> Result<NodeWrite, CallError> {
        let key = self.layout.node_key(address);
        let node = put(key.clone(), process.to_string(), lease);
        let txn = TxnRequest {
            compare: vec![revision_is(key.clone(), revision)],
            success: [node].into_iter().chain(mark).collect(),
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
        let write = self.write_node(&session.address, session.process, lease, token, None);
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

    /// Renews the leases, and at the same time reads whether the process still holds the address.
    pub(super) async fn do_renew(
        &self,
        session: &NodeSession,
        report: NodeReport,
    ) -> Result<Renewal, CallError> {
        let reads = vec![
            get(self.layout.node_key(&session.address)),
            get(self.layout.epoch_key()),
            get(self.layout.mark_of(&session.address)),
        ];
        let read = self.read(RetrySafety::Idempotent, reads);
        let (renewed, found) = tokio::join!(self.renew_leases(session), read);
        let (renewed, mut found) = (renewed?, found?);
        let mut next = || found.next().flatten();
        let (node, epoch, mark) = (next(), next(), next());
        let is_held = node.is_some_and(|kv| is_of_session(&kv, session));
        if renewed == LeasesRenewed::Lost || !is_held {
            self.leases.forget(session);
            return Ok(Renewal::Lost);
        }
        let epoch = match epoch.as_ref().and_then(epoch::parse) {
            Some(epoch) => epoch,
            None => self.epoch_of_node(seconds(session.ttl)).await?,
        };
        if renewed == LeasesRenewed::Some {
            self.mark(session).await?;
            return Ok(Renewal::Revived(self.lease_info(epoch)));
        }
        if let Some(mark) = mark.filter(|_| report.refilled == epoch) {
            self.unmark(session, &mark, epoch).await;
        }
        Ok(Renewal::Renewed(self.lease_info(epoch)))
    }

    pub(super) async fn do_leave(&self, session: &NodeSession) -> Result<(), CallError> {
        let leases = self.leases.from(session, 0).into_iter();
        let leases = leases.map(|(_, lease)| self.has_entries(lease));
        for has_entries in batch::join_bounded(leases).await {
            if has_entries? {
                return Ok(());
            }
        }
        let key = self.layout.node_key(&session.address);
        let txn = TxnRequest {
            compare: vec![self.is_current(session)],
            success: vec![delete(key)],
            failure: Vec::new(),
        };
        if self
            .client
            .call(RetrySafety::SendOnce, txn)
            .await?
            .succeeded
        {
            self.revoke_all(session).await;
        }
        Ok(())
    }

    fn lease_info(&self, epoch: Epoch) -> LeaseInfo {
        LeaseInfo {
            clock: self.clock.now(),
            epoch,
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
pub(super) fn seconds(lease: Duration) -> i64 {
    let up = u64::from(lease.subsec_nanos() > 0);
    i64::try_from(lease.as_secs().saturating_add(up).max(1)).unwrap_or(i64::MAX)
}
