//! The contract between nodes and their registry.
//!
//! Owns [`Registry`]. Must not know connections, links, HTTP or any store.

use std::{fmt, sync::Arc};

use crate::{
    error::{RegistryError, RegistryErrorKind},
    id::ClientId,
    reply::RegistryFuture,
    rosters::Rosters,
    types::{
        Claim, ClaimOutcomes, Cursor, ExpiredNode, JoinOutcome, JoinRequest, Located, NodeInfo,
        NodeReport, NodeSession, Page, Release, ReleaseOutcome, Renewal, Stamp,
    },
    values::Values,
};

/// The id that another program may write, which knows the default namespace only.
pub(crate) fn shared_id(operation: &'static str, id: &str) -> Result<ClientId, RegistryError> {
    ClientId::new(id)
        .map_err(|error| RegistryError::of_kind(RegistryErrorKind::InvalidInput, operation, error))
}

/// The store in which a cluster remembers which node has which client id.
///
/// An entry is a last-writer-wins register. Its order is the arrival of the connection, the [`Stamp`],
/// not the order in which claims reach the registry. So claims, retries, late duplicates and repeated
/// claims commute: the connection that arrived last wins, no matter who claims first.
///
/// # What every registry guarantees
///
/// - A claim or release is carried out only for the process that holds the address, and only while its
///   lease lives.
/// - A registry compares before it deletes: no release, sweep or reaper removes another node's entry.
/// - The data does not grow with the number of past connections.
/// - Its times never go back: leases are measured with the cluster's clock, which is the latest of the
///   store's clock and of those that nodes report. So a dead node's lease ends in time, whatever
///   happens to the store's own clock.
///
/// # What happens when data is lost
///
/// A registry that finds itself empty begins a new [`Epoch`](crate::Epoch). Nodes learn of it with
/// their next renewal, claim everything again, and report when they have
/// [refilled](crate::NodeReport::refilled). Until every live node has, and for one lease at least, so
/// that every live node has joined, a missing entry is [`Located::Unknown`].
///
/// The crate `tieline-registry-conformance` tests these and the contract of each method.
///
/// # Namespaces
///
/// Ids of different namespaces are different ids, also if they have the same name: a registry stores and
/// compares [keys](ClientId::key), which [`locate`](Self::locate) and [`get`](Self::get) take, and which
/// [`ClientId::from_key`] turns into ids again. A [`ClientId`] dereferences to its *name*; pass `id.key()`.
///
/// Other programs know the default namespace only: its keys are the names, and its layout is theirs. What a
/// registry stores for other namespaces must lie outside the layout that other programs share, so there are
/// no foreign entries in them. Walks list the ids of all namespaces.
///
/// # Concurrency and time
///
/// Nodes call one value from many tasks at once, and one value may serve several nodes of a process. A
/// method must not wait without a bound. Callers have timeouts too, and drop the future when one
/// passes; the operation may then still be carried out later, or a second time. Claims and releases
/// are made so that this does no harm. A registry gives each change a deadline where it can, so that a
/// late one does nothing.
pub trait Registry: fmt::Debug + Send + Sync + 'static {
    // ---- The cluster

    /// The name of the cluster. All its nodes have the same, and clusters that may meet have different
    /// ones: nodes refuse links from another cluster. For a registry with a prefix, it is the prefix.
    fn cluster(&self) -> &str;

    /// The name of another cluster that has live nodes and whose keys overlap with those of this one, so
    /// that each would take the other's entries for its own. A node asks once, after it has joined under
    /// `address`; a backend asks without one. The default is none: right for a registry whose clusters share
    /// no keys.
    fn overlap<'a>(&'a self, address: Option<&'a str>) -> RegistryFuture<'a, Option<String>> {
        let _ = address;
        Box::pin(async { Ok(None) })
    }

    // ---- The lifecycle of a node

    /// Takes an address for a process, or keeps it. [`JoinOutcome::Busy`] if another process holds the
    /// address, its lease lives, and it is not [`JoinRequest::replace`].
    ///
    /// Entries of the joining process stay. Entries of another process, whose address it takes, may
    /// stay, for the new process to claim or sweep, or be removed at once: a registry that binds
    /// entries to a lease, such as etcd, ends the lease of the replaced process.
    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome>;

    /// Renews the lease for its whole length, and records what the node reports. A node renews every
    /// third of its lease.
    fn renew<'a>(
        &'a self,
        session: &'a NodeSession,
        report: NodeReport,
    ) -> RegistryFuture<'a, Renewal>;

    /// Called after an operation whose outcome is unknown. A registry whose late operations could do
    /// harm makes sure that the operation is not carried out from now on, and returns the session to
    /// continue with, usually with another [fencing token](NodeSession::fencing_token). `None` if the
    /// session is lost.
    ///
    /// The default keeps the session: right for a registry whose late operations do no harm.
    fn fence<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, Option<NodeSession>> {
        Box::pin(async move { Ok(Some(session.clone())) })
    }

    /// Removes a node that has released everything. A node that still has entries stays until its lease
    /// expires.
    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()>;

    /// All nodes that have joined and not left, including expired ones until they are reaped. Legacy
    /// nodes do not join, so they are not among them.
    fn nodes(&self) -> RegistryFuture<'_, Vec<NodeInfo>>;

    // ---- Entries

    /// Claims ids for one session, in as few round trips as possible. Returns one verdict per claim, in
    /// order. Nodes send up to 512 claims at once; the same id may occur more than once.
    fn claim<'a>(
        &'a self,
        session: &'a NodeSession,
        claims: &'a [Claim],
    ) -> RegistryFuture<'a, ClaimOutcomes>;

    /// Gives ids back: deletes each entry that is this node's and not newer than
    /// [`Release::up_to`]. Nodes send up to 512 releases at once.
    fn release<'a>(
        &'a self,
        session: &'a NodeSession,
        releases: &'a [Release],
    ) -> RegistryFuture<'a, ReleaseOutcome>;

    /// The entry of the id that has this [key](ClientId::key), or what its absence means.
    ///
    /// With `fresh`, the answer is not older than the call. Without, a registry with several servers
    /// may answer from the nearest one, if that one has an entry: any other answer is always fresh,
    /// because no node corrects it.
    fn locate<'a>(&'a self, key: &'a str, fresh: bool) -> RegistryFuture<'a, Located>;

    /// A page of the ids of all namespaces under a session's address, with the stamps of their entries, for the sweep. An
    /// id may be listed twice; an id that has its entry during the whole walk is listed at least once.
    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<(ClientId, Stamp)>>;

    // ---- The reaper

    /// The nodes whose lease has expired. The default is none: right for a registry that removes the
    /// entries of an expired node itself.
    fn expired(&self) -> RegistryFuture<'_, Vec<ExpiredNode>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Removes up to `limit` entries of an expired node, and the node after its last entry. Does nothing
    /// if the lease is not the one in [`ExpiredNode::mark`] any more. True if entries are left.
    fn reap<'a>(&'a self, expired: &'a ExpiredNode, limit: usize) -> RegistryFuture<'a, bool> {
        let _ = (expired, limit);
        Box::pin(async { Ok(false) })
    }

    // ---- Presence

    /// The rosters of the cluster's groups. The default is none: such a registry has no presence.
    fn rosters(&self) -> Option<&dyn Rosters> {
        None
    }

    // ---- Values

    /// The short-lived values of the cluster. The default is none: such a registry keeps no values.
    fn values(&self) -> Option<&dyn Values> {
        None
    }

    // ---- The layout that other programs share

    /// Writes id → address without comparing, as a legacy node does: in the default namespace. The key of an
    /// id in another one is [`InvalidInput`](RegistryErrorKind::InvalidInput).
    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()>;

    /// The address of the id that has this [key](ClientId::key), as [`locate`](Self::locate) finds it.
    fn get<'a>(&'a self, key: &'a str) -> RegistryFuture<'a, Option<Arc<str>>> {
        Box::pin(async move {
            let entry = self.locate(key, true).await?.entry();
            Ok(entry.map(|entry| entry.address))
        })
    }

    /// Deletes an id without comparing, as a legacy node does: in the default namespace. The key of an id in
    /// another one is [`InvalidInput`](RegistryErrorKind::InvalidInput).
    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()>;

    /// Deletes every id of an address in all namespaces, no matter who wrote it, and returns how many. For
    /// addresses that will not be used again: a live node claims its ids again at its next audit.
    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64>;

    /// A page of the ids of all namespaces with their addresses. An id may be listed twice; an id that has its entry
    /// during the whole walk is listed at least once.
    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>>;
}
