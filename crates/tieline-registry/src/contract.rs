//! The contract between nodes and their registry: what it is asked, and what it answers.
//!
//! Owns [`Registry`]. Must not know connections, links or HTTP, nor any store.
//!
//! An entry is a last-writer-wins register ordered by the arrival of the connection, its [`Stamp`],
//! not by the order in which claims reach the registry. So claims, retries, late duplicates and
//! re-claims after a loss commute: the connection that arrived last wins, whoever asks first.
//!
//! Invariants of every implementation, which `tieline-registry-conformance` checks: a claim or release
//! is carried out only for the process that holds the address, while its lease lives; nothing is
//! deleted that was not compared first; nothing grows with the number of past connections.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    error::RegistryError,
    id::ClientId,
    types::{
        Claim, ClaimOutcomes, Cursor, Entry, ExpiredNode, JoinOutcome, JoinRequest, NodeInfo,
        NodeSession, Page, Release, ReleaseOutcome, Renewal, Stamp,
    },
};

/// The future of a registry's answer.
pub type RegistryFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, RegistryError>> + Send + 'a>>;

/// Where the cluster remembers client id → node.
///
/// One value may serve several nodes of a process. No method waits for ever on its own account, but
/// callers set deadlines all the same and drop the future then: what was asked may still be carried
/// out, at any later time.
pub trait Registry: fmt::Debug + Send + Sync + 'static {
    // ---- The life of a node

    /// Takes an address for a process, or keeps it. [`JoinOutcome::Busy`] where another process holds the
    /// address, its lease lives, and it is not [`JoinRequest::replace`].
    ///
    /// Removes no entry of the process that joins. Entries of another process, whose address it takes,
    /// may stay, to be claimed or swept by the new one, or go at once: where entries hang on the
    /// lease of their process, as on etcd, the lease of the one that was replaced is ended.
    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome>;

    /// Renews the lease. `now` is the caller's cluster clock.
    fn renew<'a>(&'a self, session: &'a NodeSession, now: Stamp) -> RegistryFuture<'a, Renewal>;

    /// After an operation whose outcome is unknown: makes sure that it is not carried out later than
    /// now where the registry can, and returns the session to go on with; `None` where the session is
    /// lost. The default, for registries whose late operations do no harm, keeps the session.
    fn fence<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, Option<NodeSession>> {
        Box::pin(async move { Ok(Some(session.clone())) })
    }

    /// The orderly end of a node that has released everything; a node that has not, stays until its
    /// lease runs out.
    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()>;

    /// The nodes of the cluster: those that joined and have not left, dead ones included until they
    /// are reaped. Foreign nodes announce themselves nowhere and are not among them.
    fn nodes(&self) -> RegistryFuture<'_, Vec<NodeInfo>>;

    // ---- Entries

    /// Claims ids, all of one session, in one round trip or few. One verdict for each, in order.
    fn claim<'a>(
        &'a self,
        session: &'a NodeSession,
        claims: &'a [Claim],
    ) -> RegistryFuture<'a, ClaimOutcomes>;

    /// Gives ids back: compare and delete.
    fn release<'a>(
        &'a self,
        session: &'a NodeSession,
        releases: &'a [Release],
    ) -> RegistryFuture<'a, ReleaseOutcome>;

    /// Who has an id. With `fresh` the answer is not older than the call; without, a registry of
    /// several servers may answer from the nearest, if that one knows the id: `None` is never old, for
    /// nobody is asked after it.
    fn locate<'a>(&'a self, id: &'a str, fresh: bool) -> RegistryFuture<'a, Option<Entry>>;

    /// A page of the ids that stand under a session's address, for the sweep. Ids may come twice; an
    /// id that stands there during the whole walk comes at least once.
    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<ClientId>>;

    // ---- The reaper

    /// Nodes whose lease has run out. Empty where the registry itself removes what they leave.
    fn expired(&self) -> RegistryFuture<'_, Vec<ExpiredNode>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Removes up to `most` entries of a node that expired, and the node after its last one. Stops
    /// where the lease is not the one that was seen. Whether anything is left to do.
    fn reap<'a>(&'a self, expired: &'a ExpiredNode, most: usize) -> RegistryFuture<'a, bool> {
        let _ = (expired, most);
        Box::pin(async { Ok(false) })
    }

    // ---- The layout that other programs share

    /// Writes id → address unconditionally, as a foreign node does.
    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()>;

    /// The address of an id.
    fn get<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, Option<Arc<str>>> {
        Box::pin(async move { Ok(self.locate(id, true).await?.map(|entry| entry.address)) })
    }

    /// Deletes an id unconditionally, as a foreign node does.
    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()>;

    /// Deletes every id of an address, whoever wrote it; says how many. For addresses that are dead
    /// for good: a node that lives claims its own again at its next audit.
    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64>;

    /// A page of all ids with their addresses. Ids may come twice; an id that stands there during the
    /// whole walk comes at least once.
    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>>;
}
