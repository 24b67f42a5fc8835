//! The operations of the contract.
//!
//! Owns the mapping of each operation to its transactions, and the names of the operations in errors.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    call_error::during,
    client::RetrySafety,
    registry::EtcdRegistry,
    rpc::{DeleteRangeRequest, PutRequest},
};
use crate::{
    contract::{Registry, shared_id},
    error::RegistryError,
    id::ClientId,
    reply::RegistryFuture,
    rosters::Rosters,
    types::{
        Claim, ClaimOutcomes, Cursor, JoinOutcome, JoinRequest, Located, NodeInfo, NodeReport,
        NodeSession, Page, Release, ReleaseOutcome, Renewal, Stamp,
    },
    values::Values,
};

impl EtcdRegistry {
    /// The key of an entry that other programs may write.
    fn shared_key(&self, operation: &'static str, id: &str) -> Result<Bytes, RegistryError> {
        let id = shared_id(operation, id)?;
        Ok([self.layout.prefix(), id.key()].concat().into())
    }
}

impl Registry for EtcdRegistry {
    fn cluster(&self) -> &str {
        self.layout.prefix()
    }

    fn rosters(&self) -> Option<&dyn Rosters> {
        Some(self)
    }

    fn overlap<'a>(&'a self, _: Option<&'a str>) -> RegistryFuture<'a, Option<String>> {
        Box::pin(async move {
            let overlap = self.do_overlap().await;
            overlap.map_err(during("look for a cluster with the same keys"))
        })
    }

    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome> {
        Box::pin(async move {
            let joined = self.do_join(request).await;
            joined.map_err(during("take the node's address"))
        })
    }

    fn renew<'a>(
        &'a self,
        session: &'a NodeSession,
        report: NodeReport,
    ) -> RegistryFuture<'a, Renewal> {
        self.clock.observe(report.now);
        Box::pin(async move {
            let renewed = self.do_renew(session, report).await;
            renewed.map_err(during("renew the lease"))
        })
    }

    fn fence<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, Option<NodeSession>> {
        Box::pin(async move {
            let fenced = self.do_fence(session).await;
            fenced.map_err(during("fence late requests"))
        })
    }

    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            let left = self.do_leave(session).await;
            left.map_err(during("release the node's address"))
        })
    }

    fn nodes(&self) -> RegistryFuture<'_, Vec<NodeInfo>> {
        Box::pin(async { self.do_nodes().await.map_err(during("list the nodes")) })
    }

    fn claim<'a>(
        &'a self,
        session: &'a NodeSession,
        claims: &'a [Claim],
    ) -> RegistryFuture<'a, ClaimOutcomes> {
        Box::pin(async move {
            let outcomes = self.do_claim(session, claims).await;
            outcomes.map_err(during("claim ids"))
        })
    }

    fn release<'a>(
        &'a self,
        session: &'a NodeSession,
        releases: &'a [Release],
    ) -> RegistryFuture<'a, ReleaseOutcome> {
        Box::pin(async move {
            let outcome = self.do_release(session, releases).await;
            outcome.map_err(during("release ids"))
        })
    }

    fn locate<'a>(&'a self, key: &'a str, fresh: bool) -> RegistryFuture<'a, Located> {
        Box::pin(async move {
            let located = self.do_locate(key, fresh).await;
            located.map_err(during("locate an id"))
        })
    }

    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<(ClientId, Stamp)>> {
        Box::pin(async move {
            let page = self.page_of_ids(session, &from).await;
            page.map_err(during("list a node's ids"))
        })
    }

    fn values(&self) -> Option<&dyn Values> {
        Some(self)
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()> {
        const OPERATION: &str = "set an id";
        Box::pin(async move {
            let put = PutRequest {
                key: self.shared_key(OPERATION, id)?,
                value: address.to_owned().into(),
                lease: 0,
            };
            let put = self.client.call(RetrySafety::SendOnce, put).await;
            put.map(drop).map_err(during(OPERATION))
        })
    }

    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()> {
        const OPERATION: &str = "delete an id";
        Box::pin(async move {
            let key = self.shared_key(OPERATION, id)?;
            let delete = DeleteRangeRequest { key };
            let deleted = self.client.call(RetrySafety::SendOnce, delete).await;
            deleted.map(drop).map_err(during(OPERATION))
        })
    }

    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64> {
        Box::pin(async move {
            let deleted = self.do_delete_node(address).await;
            deleted.map_err(during("delete a node's ids"))
        })
    }

    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>> {
        Box::pin(async move {
            let page = self.page_of_entries(&from).await;
            page.map_err(during("list the ids"))
        })
    }
}
