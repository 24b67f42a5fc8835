//! A registry whose requests are counted and timed.
//!
//! Owns which operation each request counts as. Must not know the registry. Invariant: each call is passed on as it
//! is, also those that most registries do not implement themselves.

mod rosters;

use std::{fmt, sync::Arc, time::Duration};

use tieline::{
    Bytes, ClientId,
    registry::{
        Claim, ClaimOutcomes, Cursor, ExpiredNode, JoinOutcome, JoinRequest, Located, NodeInfo,
        NodeReport, NodeSession, Page, Registry, RegistryFuture, Release, ReleaseOutcome, Renewal,
        Rosters, Stamp, StoredValue, Values,
    },
};

use crate::metrics::{METRICS, OperationMetrics};

pub(super) struct MeasuredRegistry {
    inner: Arc<dyn Registry>,
    operations: [OperationMetrics; OPERATIONS.len()],
}

/// What a request counts as.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Join,
    Renew,
    Claim,
    Release,
    Locate,
    /// The nodes of the cluster, or of one that shares keys.
    Nodes,
    /// Entries, in pages.
    List,
    /// What dead nodes left.
    Reap,
    /// The layout that other programs share.
    Shared,
    /// Short-lived values.
    Value,
    /// Who is in which group.
    Roster,
}

/// The words of the operations, in their order.
const OPERATIONS: [&str; 11] = [
    "join", "renew", "claim", "release", "locate", "nodes", "list", "reap", "shared", "value",
    "roster",
];

impl MeasuredRegistry {
    pub(super) fn new(inner: Arc<dyn Registry>) -> Self {
        Self {
            inner,
            operations: OPERATIONS.map(|operation| METRICS.registry_operation(operation)),
        }
    }

    fn measure<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        request: RegistryFuture<'a, T>,
    ) -> RegistryFuture<'a, T> {
        let metrics = &self.operations[operation as usize];
        Box::pin(async move {
            let timer = metrics.start();
            let reply = request.await;
            timer.ended(reply.is_ok());
            reply
        })
    }
}

impl Registry for MeasuredRegistry {
    fn cluster(&self) -> &str {
        self.inner.cluster()
    }

    fn overlap<'a>(&'a self, address: Option<&'a str>) -> RegistryFuture<'a, Option<String>> {
        self.measure(Operation::Nodes, self.inner.overlap(address))
    }

    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome> {
        self.measure(Operation::Join, self.inner.join(request))
    }

    fn renew<'a>(
        &'a self,
        session: &'a NodeSession,
        report: NodeReport,
    ) -> RegistryFuture<'a, Renewal> {
        self.measure(Operation::Renew, self.inner.renew(session, report))
    }

    fn fence<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, Option<NodeSession>> {
        self.measure(Operation::Renew, self.inner.fence(session))
    }

    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()> {
        self.measure(Operation::Join, self.inner.leave(session))
    }

    fn nodes(&self) -> RegistryFuture<'_, Vec<NodeInfo>> {
        self.measure(Operation::Nodes, self.inner.nodes())
    }

    fn claim<'a>(
        &'a self,
        session: &'a NodeSession,
        claims: &'a [Claim],
    ) -> RegistryFuture<'a, ClaimOutcomes> {
        self.measure(Operation::Claim, self.inner.claim(session, claims))
    }

    fn release<'a>(
        &'a self,
        session: &'a NodeSession,
        releases: &'a [Release],
    ) -> RegistryFuture<'a, ReleaseOutcome> {
        self.measure(Operation::Release, self.inner.release(session, releases))
    }

    fn locate<'a>(&'a self, key: &'a str, fresh: bool) -> RegistryFuture<'a, Located> {
        self.measure(Operation::Locate, self.inner.locate(key, fresh))
    }

    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<(ClientId, Stamp)>> {
        self.measure(Operation::List, self.inner.ids_of(session, from))
    }

    fn expired(&self) -> RegistryFuture<'_, Vec<ExpiredNode>> {
        self.measure(Operation::Reap, self.inner.expired())
    }

    fn reap<'a>(&'a self, expired: &'a ExpiredNode, limit: usize) -> RegistryFuture<'a, bool> {
        self.measure(Operation::Reap, self.inner.reap(expired, limit))
    }

    fn values(&self) -> Option<&dyn Values> {
        self.inner.values().map(|_| self as &dyn Values)
    }

    fn rosters(&self) -> Option<&dyn Rosters> {
        self.inner.rosters().map(|_| self as &dyn Rosters)
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()> {
        self.measure(Operation::Shared, self.inner.set(id, address))
    }

    fn get<'a>(&'a self, key: &'a str) -> RegistryFuture<'a, Option<Arc<str>>> {
        self.measure(Operation::Shared, self.inner.get(key))
    }

    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()> {
        self.measure(Operation::Shared, self.inner.delete(id))
    }

    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64> {
        self.measure(Operation::Shared, self.inner.delete_node(address))
    }

    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>> {
        self.measure(Operation::List, self.inner.scan(from))
    }
}

impl MeasuredRegistry {
    fn inner_values(&self) -> &dyn Values {
        let values = self.inner.values();
        values.expect("without them, nobody gets those that ask here")
    }
}

impl Values for MeasuredRegistry {
    fn put<'a>(&'a self, key: &'a str, bytes: Bytes, ttl: Duration) -> RegistryFuture<'a, ()> {
        self.measure(Operation::Value, self.inner_values().put(key, bytes, ttl))
    }

    fn get<'a>(&'a self, key: &'a str) -> RegistryFuture<'a, Option<StoredValue>> {
        self.measure(Operation::Value, self.inner_values().get(key))
    }
}

impl fmt::Debug for MeasuredRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
