//! Calls on the leases of a node.
//!
//! A node has the lease of its key and, if it has many entries, further ones ([`LeaseSet`] says why). All
//! are renewed together, so that they end together. If only a further one has ended, its entries are gone
//! while the node lives: the renewal reports it, and the node claims again.
//!
//! [`LeaseSet`]: super::lease_set::LeaseSet

use super::{
    batch::{self, BATCH},
    call_error::CallError,
    client::RetrySafety,
    layout::Shadow,
    registry::EtcdRegistry,
    rpc::{
        KeepAlives, KeyValue, LeaseGrantRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, get,
    },
};
use crate::{
    id::ClientId,
    types::{Cursor, NodeSession, Page, Stamp},
};

/// The leases that one stream renews: a server that is not the leader asks the leader for each in turn.
const STREAM: usize = 64;

/// A page of a node's ids is not continued with another lease once it has this many.
const PAGE: usize = 512;

/// The result of renewing all leases of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeasesRenewed {
    All,
    /// Some had ended, and their entries are gone.
    Some,
    /// The lease of the node's key had ended.
    Lost,
}

impl EtcdRegistry {
    /// Grants a lease: its name, and for how many seconds. If the response is lost, it expires by itself.
    pub(super) async fn grant(&self, ttl: i64) -> Result<(i64, i64), CallError> {
        let request = LeaseGrantRequest { ttl, id: 0 };
        let lease = self.client.call(RetrySafety::Idempotent, request).await?;
        Ok((lease.id, lease.ttl))
    }

    /// A lease for each of so many new entries.
    pub(super) async fn leases_for(
        &self,
        session: &NodeSession,
        count: usize,
    ) -> Result<Vec<i64>, CallError> {
        let numbers = self.leases.pick(session, count);
        if !self.leases.missing(session, &numbers).is_empty() {
            // One at a time: what another claim grants meanwhile need not be granted again.
            let _only = self.granting.lock().await;
            let missing = self.leases.missing(session, &numbers);
            let grants = missing.into_iter();
            let grants = grants.map(|number| self.grant_further(session, number));
            let granted = batch::join_bounded(grants).await;
            granted.into_iter().collect::<Result<(), CallError>>()?;
        }
        let lease = |number: &u32| self.leases.lease(session, *number);
        Ok(numbers.iter().map(lease).collect())
    }

    async fn grant_further(&self, session: &NodeSession, number: u32) -> Result<(), CallError> {
        let ttl = i64::try_from(session.ttl.as_secs()).unwrap_or(i64::MAX);
        let (lease, _) = self.grant(ttl).await?;
        self.leases.add(session, number, lease);
        Ok(())
    }

    /// Renews all leases of a node for their whole length.
    pub(super) async fn renew_leases(
        &self,
        session: &NodeSession,
    ) -> Result<LeasesRenewed, CallError> {
        let leases = self.leases.from(session, 0).into_iter();
        let leases: Vec<_> = leases.map(|(_, lease)| lease).collect();
        let streams = leases.chunks(STREAM).map(|leases| {
            let request = KeepAlives(leases.to_vec());
            self.client.call(RetrySafety::Idempotent, request)
        });
        let streams: Vec<_> = streams.collect();
        let renewed = batch::join_bounded(streams).await;
        let renewed: Vec<_> = renewed.into_iter().collect::<Result<_, _>>()?;
        let ttls = leases.iter().zip(renewed.into_iter().flatten());
        let ended = ttls.filter(|(_, ttl)| *ttl <= 0);
        let ended: Vec<_> = ended.map(|(lease, _)| *lease).collect();
        self.leases.remove(session, &ended);
        Ok(match ended.first() {
            None => LeasesRenewed::All,
            Some(lease) if *lease == session.lease_id => LeasesRenewed::Lost,
            Some(_) => LeasesRenewed::Some,
        })
    }

    /// Ends a lease at once, if etcd can be reached; else it expires.
    pub(super) async fn revoke(&self, lease: i64) {
        let request = LeaseRevokeRequest { id: lease };
        match self.client.call(RetrySafety::Idempotent, request).await {
            Ok(_) | Err(CallError::LeaseGone) => {}
            Err(error) => {
                tracing::debug!(?error, "failed to revoke an unused lease; it will expire");
            }
        }
    }

    /// Ends all leases of a node, as [`revoke`](Self::revoke).
    pub(super) async fn revoke_all(&self, session: &NodeSession) {
        let leases = self.leases.from(session, 0).into_iter();
        batch::join_bounded(leases.map(|(_, lease)| self.revoke(lease))).await;
        self.leases.forget(session);
    }

    /// The ids whose shadows are bound to a lease.
    pub(super) async fn ids_under(&self, lease: i64) -> Result<Vec<ClientId>, CallError> {
        let request = LeaseTimeToLiveRequest {
            id: lease,
            keys: true,
        };
        let response = self.client.call(RetrySafety::Idempotent, request).await?;
        let ids = response.keys.iter();
        let ids = ids.filter_map(|key| self.layout.id_of_shadow(key));
        Ok(ids.collect())
    }

    /// Whether any entry is bound to a lease. The leader lists the keys of a lease as of the writes that it
    /// has applied; it may lag behind the server that answered the last release, by one batch at most.
    pub(super) async fn has_entries(&self, lease: i64) -> Result<bool, CallError> {
        let ids = self.ids_under(lease).await?;
        if ids.is_empty() || ids.len() > BATCH {
            return Ok(!ids.is_empty());
        }
        let shadows = self.shadows_of(&ids).await?;
        Ok(shadows.iter().any(Option::is_some))
    }

    /// The entries that are bound to a lease, with their stamps.
    async fn stamps_under(&self, lease: i64) -> Result<Vec<(ClientId, Stamp)>, CallError> {
        let ids = self.ids_under(lease).await?;
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
        let reads = ids.iter().map(|id| get(self.layout.shadow_key(id.key())));
        let reads = reads.collect();
        Ok(self.read(RetrySafety::Idempotent, reads).await?.collect())
    }

    /// A page of the ids whose shadows are bound to a session's leases. The walk counts them: its cursor is
    /// the number of the next lease, and how many ids the ones before have.
    pub(super) async fn page_of_ids(
        &self,
        session: &NodeSession,
        from: &Cursor,
    ) -> Result<Page<(ClientId, Stamp)>, CallError> {
        let (number, mut counted) = position(from);
        let mut items = Vec::new();
        for (number, lease) in self.leases.from(session, number) {
            if items.len() >= PAGE {
                let next = Some(Cursor(format!("{number} {counted}").into_bytes()));
                return Ok(Page { items, next });
            }
            let stamped = self.stamps_under(lease).await?;
            counted += stamped.len() as u64;
            items.extend(stamped);
        }
        self.leases.on_counted(session, counted);
        Ok(Page { items, next: None })
    }
}

/// What a cursor of [`EtcdRegistry::page_of_ids`] says; the beginning for any other.
fn position(from: &Cursor) -> (u32, u64) {
    let parse = || {
        let (number, counted) = std::str::from_utf8(&from.0).ok()?.split_once(' ')?;
        Some((number.parse().ok()?, counted.parse().ok()?))
    };
    parse().unwrap_or_default()
}
