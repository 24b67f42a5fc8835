//! The life of a node: its lease, its key, its fence.
//!
//! The fence is the revision at which the node's key was last written. Everything that a node does
//! compares it, so whoever writes the key again makes sure that nothing sent before is carried out
//! after. Invariant: the key is written only over what was seen there.

use std::{str, time::Duration};

use uuid::Uuid;

use super::{
    EtcdRegistry,
    batch::BATCH,
    call_error::Fault,
    client::RetrySafety,
    rpc::{
        KeyValue, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest,
        LeaseTimeToLiveRequest, RangeRequest, TxnRequest, delete, get, modified, put,
    },
};
use crate::{
    id::ClientId,
    types::{JoinOutcome, JoinRequest, LeaseInfo, NodeSession, Renewal},
};

/// How often another may be faster.
const ROUNDS: usize = 8;

/// How much longer than others the call may take that lists all keys of a lease.
const LISTING: u32 = 10;

/// What became of a write of the node's key.
enum Written {
    /// The revision at which it was written.
    At(i64),
    /// What stands there instead.
    Not(Option<KeyValue>),
}

/// Whose an address is.
enum Address {
    /// The candidate's, from this revision on.
    Taken { fence: i64 },
    /// Another process's.
    Held { holder: Uuid },
}

impl EtcdRegistry {
    pub(super) async fn take_address(&self, request: &JoinRequest) -> Result<JoinOutcome, Fault> {
        self.clock.observe(request.now);
        if let Some(session) = self.keep(request).await? {
            return Ok(JoinOutcome::Joined(session, self.lease_info()));
        }
        let lease = LeaseGrantRequest {
            ttl: seconds(request.lease),
        };
        // One that is granted and never heard of goes by itself.
        let lease = self.client.call(RetrySafety::Harmless, lease).await?;
        let joined = match self.take_over(request, lease.id).await? {
            Address::Taken { fence } => NodeSession {
                address: request.address.clone(),
                process: request.process,
                ttl: Duration::from_secs(lease.ttl.unsigned_abs()),
                lease_id: lease.id,
                fencing_token: fence,
            },
            Address::Held { holder } => {
                self.revoke(lease.id).await;
                return Ok(JoinOutcome::Busy(holder));
            }
        };
        Ok(JoinOutcome::Joined(joined, self.lease_info()))
    }

    /// Writes the node's key over nothing, or over what may be replaced.
    async fn take_over(&self, request: &JoinRequest, lease: i64) -> Result<Address, Fault> {
        let mine = |holder| holder == request.process || Some(holder) == request.replace;
        let mut seen: Option<KeyValue> = None;
        for _ in 0..ROUNDS {
            let revision = seen.as_ref().map_or(0, |kv| kv.mod_revision);
            let written = self.write(&request.address, request.process, lease, revision);
            match written.await? {
                Written::At(fence) => {
                    self.end_of_another(request, seen.as_ref()).await;
                    return Ok(Address::Taken { fence });
                }
                Written::Not(found) => match found.as_ref().and_then(process) {
                    Some(holder) if !mine(holder) => return Ok(Address::Held { holder }),
                    _ => seen = found,
                },
            }
        }
        let text = "others took and left the address all the time";
        Err(Fault::Unknown(text.to_owned()))
    }

    /// The session until now with a new fence, if it is still there: what goes with its lease stays.
    async fn keep(&self, request: &JoinRequest) -> Result<Option<NodeSession>, Fault> {
        let same = |session: &&NodeSession| {
            session.address == request.address
                && session.process == request.process
                && session.ttl >= request.lease
        };
        let Some(previous) = request.previous.as_ref().filter(same) else {
            return Ok(None);
        };
        if !self.renew(previous.lease_id).await? {
            return Ok(None);
        }
        self.put_fence(previous).await
    }

    /// Whether the lease lives; if so, it does for its whole length from now.
    async fn renew(&self, lease: i64) -> Result<bool, Fault> {
        let request = LeaseKeepAliveRequest { id: lease };
        Ok(self.client.call(RetrySafety::Harmless, request).await?.ttl > 0)
    }

    /// What a process that is gone registered goes with its lease. What this process registered under
    /// a lease that it lost goes when that runs out, unless it is claimed again before.
    async fn end_of_another(&self, request: &JoinRequest, seen: Option<&KeyValue>) {
        if let Some(kv) = seen
            && kv.lease != 0
            && process(kv) != Some(request.process)
        {
            self.revoke(kv.lease).await;
        }
    }

    /// Ends a lease now rather than when it runs out, if etcd can be reached.
    async fn revoke(&self, lease: i64) {
        let request = LeaseRevokeRequest { id: lease };
        match self.client.call(RetrySafety::Harmless, request).await {
            Ok(_) | Err(Fault::LeaseGone) => {}
            Err(fault) => tracing::debug!(?fault, "a lease that nobody needs has to run out"),
        }
    }

    /// Writes the node's key if it was last written at this revision.
    async fn write(
        &self,
        address: &str,
        process: Uuid,
        lease: i64,
        revision: i64,
    ) -> Result<Written, Fault> {
        let key = self.layout.node(address);
        let txn = TxnRequest {
            compare: vec![modified(key.clone(), revision)],
            success: vec![put(key.clone(), process.to_string(), lease)],
            failure: vec![get(key)],
        };
        // Twice is once: the second finds another revision, and what the first has written.
        let answer = self.client.call(RetrySafety::Harmless, txn).await?;
        Ok(if answer.succeeded {
            Written::At(answer.revision())
        } else {
            Written::Not(answer.reads().next().flatten())
        })
    }

    pub(super) async fn put_fence(
        &self,
        session: &NodeSession,
    ) -> Result<Option<NodeSession>, Fault> {
        let (lease, fence) = (session.lease_id, session.fencing_token);
        let written = self.write(&session.address, session.process, lease, fence);
        let fence = match written.await {
            Ok(Written::At(fence)) => fence,
            // An earlier fence of this session, whose answer was lost: it serves as well.
            Ok(Written::Not(Some(kv))) if holds(session, &kv) => kv.mod_revision,
            Ok(Written::Not(_)) | Err(Fault::LeaseGone) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let session = session.clone();
        Ok(Some(NodeSession {
            fencing_token: fence,
            ..session
        }))
    }

    /// Renews the lease and looks whether the address is still the process's, at the same time.
    pub(super) async fn renew_and_look(&self, session: &NodeSession) -> Result<Renewal, Fault> {
        let look = RangeRequest {
            key: self.layout.node(&session.address),
            ..RangeRequest::default()
        };
        let look = self.client.call(RetrySafety::Harmless, look);
        let (renewed, found) = tokio::join!(self.renew(session.lease_id), look);
        let held = renewed? && found?.kvs.iter().any(|kv| holds(session, kv));
        Ok(if held {
            Renewal::Renewed(self.lease_info())
        } else {
            Renewal::Lost
        })
    }

    pub(super) async fn give_up_address(&self, session: &NodeSession) -> Result<(), Fault> {
        let mut left = self.leased(session).await?;
        // More than one batch cannot be what the leader has yet to delete.
        if left.len() > BATCH || self.stands_any(&mut left).await? {
            return Ok(());
        }
        let key = self.layout.node(&session.address);
        let txn = TxnRequest {
            compare: vec![modified(key.clone(), session.fencing_token)],
            success: vec![delete(key)],
            failure: Vec::new(),
        };
        if self.client.call(RetrySafety::Harmful, txn).await?.succeeded {
            self.revoke(session.lease_id).await;
        }
        Ok(())
    }

    /// Whether any of these ids has a shadow. The leader lists a lease's keys as far as it has carried
    /// out what was written, and may lag behind the server that answered the last release.
    async fn stands_any(&self, ids: &mut Vec<ClientId>) -> Result<bool, Fault> {
        if ids.is_empty() {
            return Ok(false);
        }
        let txn = TxnRequest {
            compare: Vec::new(),
            success: ids
                .drain(..)
                .map(|id| get(self.layout.shadow(&id)))
                .collect(),
            failure: Vec::new(),
        };
        let answer = self.client.call(RetrySafety::Harmless, txn).await?;
        Ok(answer.reads().any(|kv| kv.is_some()))
    }

    /// The ids whose shadows go with a session's lease.
    pub(super) async fn leased(&self, session: &NodeSession) -> Result<Vec<ClientId>, Fault> {
        let request = LeaseTimeToLiveRequest {
            id: session.lease_id,
            keys: true,
        };
        let answer = self
            .client
            .call_for(LISTING, RetrySafety::Harmless, request);
        let keys = answer.await?.keys;
        Ok(keys
            .iter()
            .filter_map(|key| self.layout.owned(key))
            .collect())
    }

    fn lease_info(&self) -> LeaseInfo {
        LeaseInfo {
            clock: self.clock.now(),
            entry_count: None,
            foreign_balance: None,
        }
    }
}

/// Whether a node's key is as this session wrote it, whatever the fence.
fn holds(session: &NodeSession, kv: &KeyValue) -> bool {
    kv.lease == session.lease_id && process(kv) == Some(session.process)
}

/// The process that a node's key names; `None` for what no node can have written.
pub(super) fn process(kv: &KeyValue) -> Option<Uuid> {
    str::from_utf8(&kv.value).ok()?.parse().ok()
}

/// Leases last whole seconds, and at least one.
fn seconds(lease: Duration) -> i64 {
    let up = u64::from(lease.subsec_nanos() > 0);
    i64::try_from(lease.as_secs().saturating_add(up).max(1)).unwrap_or(i64::MAX)
}
