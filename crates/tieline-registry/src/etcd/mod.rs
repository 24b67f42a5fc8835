//! The registry on etcd.
//!
//! Owns [`EtcdRegistry`]: the protocol's transactions (`life`, `claim`, `release`, `walk`), the keys
//! (`layout`), and a small client of its own (`client`, `endpoints`, `fault`, `wire`) for the few calls
//! that they make. Must not know connections or links.
//!
//! Invariants: every write of a node compares the node's fence; every deletion compares what it
//! deletes; every call ends within its deadline; no error and no debug output shows a password.

mod batch;
mod call_error;
mod claim;
mod client;
mod clock;
mod conflict;
mod endpoints;
mod layout;
mod lifecycle;
mod options;
mod release;
mod rpc;
mod scan;
mod url;

use std::{fmt, sync::Arc};

pub use self::options::EtcdOptions;
use self::{
    call_error::Fault,
    client::{Client, RetrySafety},
    clock::Clock,
    layout::Layout,
    rpc::{DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest, never, put},
    url::Address,
};
use crate::{
    contract::{Registry, RegistryFuture},
    error::RegistryError,
    id::ClientId,
    types::{
        Claim, ClaimOutcomes, Cursor, Entry, JoinOutcome, JoinRequest, NodeInfo, NodeSession, Page,
        Release, ReleaseOutcome, Renewal, Stamp,
    },
};

/// The registry on etcd, version 3.4 or later.
///
/// Under the prefix stands client id → address, as the package `go-websocket` writes and reads it.
/// What Tieline keeps besides stands under `!tieline` + prefix. A node's entries go with its lease.
///
/// # Leases
///
/// etcd grants leases of whole seconds, and none shorter than one and a half election timeouts: 2 s as
/// etcd is configured by default. A shorter or uneven lease is rounded up;
/// [`NodeSession::ttl`] says what was granted. When etcd's leader changes, all leases begin anew, so a
/// crash may be noticed that much later.
///
/// # Users
///
/// Where etcd has users, Tieline's needs a role with both prefixes and no more. For the prefix `/ws/`:
///
/// ```text
/// etcdctl role add tieline
/// etcdctl role grant-permission tieline --prefix=true readwrite '/ws/'
/// etcdctl role grant-permission tieline --prefix=true readwrite '!tieline/ws/'
/// etcdctl user add tieline:secret
/// etcdctl user grant-role tieline tieline
/// ```
///
/// # Example
///
/// ```no_run
/// # async fn f() -> Result<(), tieline_registry::RegistryError> {
/// use tieline_registry::EtcdRegistry;
///
/// let url = "etcd://tieline:secret@10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379";
/// let registry = EtcdRegistry::connect(url, "/ws/").await?;
/// # Ok(())
/// # }
/// ```
pub struct EtcdRegistry {
    client: Client,
    layout: Layout,
    clock: Clock,
}

impl EtcdRegistry {
    /// Reaches a cluster, and checks that the prefix can be read and written.
    ///
    /// The URL is `etcd://host:port,host:port`, with `user:password@` before the hosts where etcd has
    /// users (percent-encoded where they have special characters); `etcds://` is TLS and wants
    /// [`EtcdOptions::ca_pem`]. The port is 2379 where none is named. As long as one endpoint answers
    /// and etcd has a quorum, calls work: an endpoint that fails is left for the next.
    ///
    /// The prefix is 1 to 256 bytes, and not one that `!tieline` begins with.
    ///
    /// # Errors
    ///
    /// A [refusal](RegistryError::is_refusal) where the URL, the prefix, the user, a permission or a
    /// certificate has to change; its source says which.
    pub async fn connect(url: &str, prefix: &str) -> Result<Self, RegistryError> {
        Self::connect_with(url, prefix, EtcdOptions::new()).await
    }

    /// As [`connect`](Self::connect), with what a URL cannot say.
    pub async fn connect_with(
        url: &str,
        prefix: &str,
        options: EtcdOptions,
    ) -> Result<Self, RegistryError> {
        let address =
            Address::parse(url).map_err(|why| RegistryError::refused("read the etcd URL", why))?;
        let layout = Layout::new(prefix)
            .map_err(|why| RegistryError::refused("use the etcd prefix", why))?;
        let client = Client::new(address, &options)
            .map_err(|why| RegistryError::refused("use the etcd endpoints", why))?;
        let registry = Self {
            client,
            layout,
            clock: Clock::start(),
        };
        let checked = registry.check().await;
        checked.map_err(|fault| fault.into_error("reach etcd"))?;
        Ok(registry)
    }

    /// Asks for everything that will be asked for, by a transaction that writes nothing: etcd judges
    /// what a user may do before it compares.
    async fn check(&self) -> Result<(), Fault> {
        self.client.authenticate().await?;
        let (place, _) = self.layout.places();
        let (node, _) = self.layout.nodes();
        let txn = TxnRequest {
            compare: vec![never(place.clone()), never(node.clone())],
            success: vec![put(place, "", 0), put(node, "", 0)],
            failure: Vec::new(),
        };
        self.client.call(RetrySafety::Harmless, txn).await?;
        for (key, range_end) in [self.layout.places(), self.layout.shadows()] {
            let range = RangeRequest {
                key,
                range_end,
                limit: 1,
                serializable: false,
            };
            self.client.call(RetrySafety::Harmless, range).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for EtcdRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints = self.client.endpoints();
        f.debug_struct("EtcdRegistry")
            .field("endpoints", &endpoints.names().collect::<Vec<_>>())
            .field("asked", &endpoints.asked())
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

/// The error of an operation that wanted to do this.
fn wanted(what: &'static str) -> impl FnOnce(Fault) -> RegistryError {
    move |fault| fault.into_error(what)
}

impl Registry for EtcdRegistry {
    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome> {
        Box::pin(async move {
            let join = self.take_address(request).await;
            join.map_err(wanted("take the node's address"))
        })
    }

    fn renew<'a>(&'a self, session: &'a NodeSession, now: Stamp) -> RegistryFuture<'a, Renewal> {
        self.clock.observe(now);
        Box::pin(async move {
            let beat = self.renew_and_look(session).await;
            beat.map_err(wanted("renew the node's lease"))
        })
    }

    fn fence<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, Option<NodeSession>> {
        Box::pin(async move {
            let fence = self.put_fence(session).await;
            fence.map_err(wanted("fence off late operations"))
        })
    }

    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            let left = self.give_up_address(session).await;
            left.map_err(wanted("give the node's address back"))
        })
    }

    fn nodes(&self) -> RegistryFuture<'_, Vec<NodeInfo>> {
        Box::pin(async { self.nodes().await.map_err(wanted("list the nodes")) })
    }

    fn claim<'a>(
        &'a self,
        session: &'a NodeSession,
        claims: &'a [Claim],
    ) -> RegistryFuture<'a, ClaimOutcomes> {
        Box::pin(self.claim_all(session, claims))
    }

    fn release<'a>(
        &'a self,
        session: &'a NodeSession,
        releases: &'a [Release],
    ) -> RegistryFuture<'a, ReleaseOutcome> {
        Box::pin(self.release_all(session, releases))
    }

    fn locate<'a>(&'a self, id: &'a str, fresh: bool) -> RegistryFuture<'a, Option<Entry>> {
        Box::pin(async move { self.find(id, fresh).await.map_err(wanted("look an id up")) })
    }

    /// All in one page: etcd lists a lease's keys in one answer.
    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        _: Cursor,
    ) -> RegistryFuture<'a, Page<ClientId>> {
        Box::pin(async move {
            let items = self.leased(session).await;
            let items = items.map_err(wanted("list a node's ids"))?;
            Ok(Page { items, next: None })
        })
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()> {
        let put = PutRequest {
            key: self.layout.place(id),
            value: address.to_owned().into(),
            lease: 0,
        };
        Box::pin(async move {
            let put = self.client.call(RetrySafety::Harmful, put).await;
            put.map(drop).map_err(wanted("write an id"))
        })
    }

    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()> {
        let delete = DeleteRangeRequest {
            key: self.layout.place(id),
        };
        Box::pin(async move {
            let deleted = self.client.call(RetrySafety::Harmful, delete).await;
            deleted.map(drop).map_err(wanted("delete an id"))
        })
    }

    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64> {
        Box::pin(async move {
            let cleared = self.clear_all(address).await;
            cleared.map_err(wanted("delete an address's ids"))
        })
    }

    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>> {
        Box::pin(async move {
            let page = self.page(self.layout.places(), &from).await;
            let (kvs, next) = page.map_err(wanted("list the ids"))?;
            let item =
                |kv: &rpc::KeyValue| Some((self.layout.placed(&kv.key)?, layout::address(kv)));
            let items = kvs.iter().filter_map(item).collect();
            Ok(Page { items, next })
        })
    }
}
