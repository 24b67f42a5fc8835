//! The registry itself, and connecting to it.
//!
//! Owns what users have to know, URLs, leases and permissions, and the check of the permissions at the start.
//! Must not know the operations, which `operations` implements on it.

use std::fmt;

use super::{
    call_error::CallError,
    client::{EtcdClient, RetrySafety},
    clock::ClusterClock,
    endpoints,
    journal::Journal,
    layout::Layout,
    lease_set::LeaseSet,
    options::EtcdOptions,
    roster_layout::RosterLayout,
    rpc::{Compare, KeyValue, RangeRequest, RequestOp, TxnRequest, never, put, revision_is},
    url::EtcdUrl,
    value_leases::ValueLeases,
};
use crate::{
    error::{RegistryConfigError, RegistryError, RegistryErrorKind},
    types::NodeSession,
};

/// The registry on etcd 3.4 or later.
///
/// The keys under the prefix are the layout of the package go-websocket: prefix + client id → address. They
/// have the default namespace only. Tieline's own keys begin with `!tieline` + prefix. A node's keys are
/// bound to its leases, so etcd removes them when the leases expire.
///
/// ```no_run
/// # async fn example() -> Result<(), tieline_registry::RegistryError> {
/// use tieline_registry::EtcdRegistry;
///
/// let url = "etcd://tieline:secret@10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379";
/// let registry = EtcdRegistry::connect(url, "/ws/").await?;
/// # drop(registry);
/// # Ok(())
/// # }
/// ```
///
/// # URLs
///
/// `etcd://[user:password@]host[:port],…`; the default port is 2379. Percent-encode special characters in
/// user and password. `etcds://` uses TLS and requires [`EtcdOptions::ca_pem`]. Calls work as long as one
/// endpoint responds and etcd has a quorum: after a failure, the next endpoint is used.
///
/// # Leases
///
/// etcd grants leases of whole seconds, and none shorter than one and a half election timeouts: 2 s with
/// etcd's default configuration. Any other lease is rounded up;
/// [`NodeSession::ttl`](crate::NodeSession::ttl) is what was granted. When etcd's leader changes, all
/// leases start again, so a crash may be detected up to one lease later.
///
/// A node has one lease for about 64 entries. etcd handles all keys of a lease at once, when the lease ends
/// and, if users are enabled, at each write that is bound to it.
///
/// [Values](crate::Values) belong to no node: they have leases of their own, up to 256 of a process for each power of
/// two of their time to live. A value ends by the clocks of the nodes, and is removed within four times its time to
/// live.
///
/// # Rosters
///
/// What a term has entered is bound to one lease and ends with it, so a term cannot be made to end earlier than its
/// lease, except at once. The first read of the journal loads all rosters of the cluster, which are kept up to date by
/// a watch until nobody has read for a minute: 230 bytes for an entry of a large roster, 500 for one that is alone.
///
/// # Permissions
///
/// If authentication is enabled in etcd, the user needs a role with both prefixes, and nothing else. For
/// the prefix `/ws/`:
///
/// ```text
/// etcdctl role add tieline
/// etcdctl role grant-permission tieline --prefix=true readwrite '/ws/'
/// etcdctl role grant-permission tieline --prefix=true readwrite '!tieline/ws/'
/// etcdctl user add tieline:secret
/// etcdctl user grant-role tieline tieline
/// ```
pub struct EtcdRegistry {
    pub(super) client: EtcdClient,
    pub(super) layout: Layout,
    pub(super) clock: ClusterClock,
    pub(super) leases: LeaseSet,
    /// Held while leases are granted.
    pub(super) granting: tokio::sync::Mutex<()>,
    pub(super) value_leases: ValueLeases,
    pub(super) rosters: RosterLayout,
    /// What is known of the journal; held while it is read.
    pub(super) journal: tokio::sync::Mutex<Option<Journal>>,
    pub(super) journal_name: parking_lot::Mutex<Option<String>>,
}

impl EtcdRegistry {
    /// Connects to a cluster, and checks that the prefix can be read and written.
    ///
    /// The prefix is 1 to 256 bytes long and is placed before each id as it is. `!tieline` must not begin
    /// with it.
    ///
    /// # Errors
    ///
    /// A [permanent](RegistryError::is_permanent) error if the URL, the prefix, the user, a permission or a
    /// certificate has to change; its source says which. Any other if etcd cannot be reached now.
    pub async fn connect(url: &str, prefix: &str) -> Result<Self, RegistryError> {
        Self::connect_with(url, prefix, EtcdOptions::new()).await
    }

    /// As [`connect`](Self::connect), with a timeout or certificates.
    pub async fn connect_with(
        url: &str,
        prefix: &str,
        options: EtcdOptions,
    ) -> Result<Self, RegistryError> {
        let url = EtcdUrl::parse(url).map_err(|why| misconfigured("use the etcd URL", why))?;
        let layout =
            Layout::new(prefix).map_err(|why| misconfigured("use the etcd prefix", why))?;
        let client = EtcdClient::new(url, &options)
            .map_err(|why| misconfigured("use the etcd endpoints", why))?;
        let registry = Self {
            client,
            rosters: RosterLayout::new(layout.rosters()),
            journal: tokio::sync::Mutex::default(),
            journal_name: parking_lot::Mutex::default(),
            layout,
            clock: ClusterClock::start(),
            leases: LeaseSet::default(),
            granting: tokio::sync::Mutex::default(),
            value_leases: ValueLeases::default(),
        };
        let checked = registry.check().await;
        checked.map_err(|error| error.into_registry_error("reach etcd"))?;
        Ok(registry)
    }

    /// What [`connect_with`](Self::connect_with) would refuse before it asks a server.
    pub(crate) fn problems(
        url: &str,
        prefix: &str,
        options: &EtcdOptions,
    ) -> Vec<RegistryConfigError> {
        let (tls, url) = match EtcdUrl::parse(url) {
            Ok(url) => (endpoints::check(&url, options).err(), None),
            Err(why) => (None, Some(RegistryConfigError::Url(why.into()))),
        };
        let prefix = Layout::new(prefix).err();
        let prefix = prefix.map(|why| RegistryConfigError::Prefix(why.into()));
        let tls = tls.map(RegistryConfigError::Tls);
        [url, prefix, tls].into_iter().flatten().collect()
    }

    /// Reads keys in one transaction.
    pub(super) async fn read(
        &self,
        safety: RetrySafety,
        reads: Vec<RequestOp>,
    ) -> Result<impl Iterator<Item = Option<KeyValue>>, CallError> {
        let txn = TxnRequest {
            compare: Vec::new(),
            success: reads,
            failure: Vec::new(),
        };
        Ok(self.client.call(safety, txn).await?.reads())
    }

    /// Whether this is the session that wrote the node's key last.
    pub(super) fn is_current(&self, session: &NodeSession) -> Compare {
        let key = self.layout.node_key(&session.address);
        revision_is(key, session.fencing_token)
    }

    /// Checks all permissions with a transaction that writes nothing: etcd checks them before it compares.
    async fn check(&self) -> Result<(), CallError> {
        self.client.authenticate().await?;
        let (entry, _) = self.layout.entries();
        let (node, _) = self.layout.nodes();
        let txn = TxnRequest {
            compare: vec![never(entry.clone()), never(node.clone())],
            success: vec![put(entry, "", 0), put(node, "", 0)],
            failure: Vec::new(),
        };
        self.client.call(RetrySafety::Idempotent, txn).await?;
        for (key, range_end) in [self.layout.entries(), self.layout.shadows()] {
            let range = RangeRequest {
                key,
                range_end,
                limit: 1,
                ..RangeRequest::default()
            };
            self.client.call(RetrySafety::Idempotent, range).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for EtcdRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints = self.client.endpoints();
        f.debug_struct("EtcdRegistry")
            .field("endpoints", &endpoints.names().collect::<Vec<_>>())
            .field("current", &endpoints.current())
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

fn misconfigured(operation: &str, why: impl Into<String>) -> RegistryError {
    RegistryError::of_kind(RegistryErrorKind::Misconfigured, operation, why.into())
}
