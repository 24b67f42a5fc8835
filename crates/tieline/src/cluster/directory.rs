//! Asks the registry for clients and nodes, with a timeout; holds this node's registrar.
//!
//! Owns whether the registry answers: after a lookup without an answer, the list of the nodes is asked
//! for, and if that is not answered either, no lookup starts until it is. So messages fail at once
//! instead of waiting for a registry that is away, and one lost answer fails only those that wait for it.
//! Must not know messages or links.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tieline_registry::{ClientId, Cursor, Located, NodeInfo, Page, Registry, RegistryError};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{node_host::NodeHost, stats::LookupCounts};
use crate::registrar::{Registrar, RegistrarConfig};

pub(super) type NodeRegistrar = Registrar<NodeHost>;

pub(super) struct NodeDirectory {
    registry: Arc<dyn Registry>,
    timeout: Duration,
    host: Arc<NodeHost>,
    /// Set once the node has joined the registry; a backend never does.
    registrar: OnceLock<NodeRegistrar>,
    /// Whether the registry answered the last request for the nodes.
    is_available: AtomicBool,
    /// A lookup was not answered.
    lookup_failed: Arc<Notify>,
    lookups: LookupCounts,
}

impl NodeDirectory {
    /// `timeout` bounds each request to the registry.
    pub(super) fn new(registry: Arc<dyn Registry>, timeout: Duration, host: Arc<NodeHost>) -> Self {
        Self {
            registry,
            timeout,
            host,
            registrar: OnceLock::new(),
            is_available: AtomicBool::new(true),
            lookup_failed: Arc::default(),
            lookups: LookupCounts::default(),
        }
    }

    /// Of each request to the registry.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// The process of this node, made anew for each start.
    pub(super) fn process(&self) -> Uuid {
        self.host.config.process
    }

    /// Where peers reach this node; `None` for a backend.
    pub(super) fn address(&self) -> Option<&Arc<str>> {
        self.host.config.address.as_ref()
    }

    /// The registrar of this node; `None` before it has joined, and for a backend.
    pub(super) fn registrar(&self) -> Option<&NodeRegistrar> {
        self.registrar.get()
    }

    /// Joins the registry under this node's address.
    pub(super) async fn join(&self, config: RegistrarConfig) -> Result<(), RegistryError> {
        let registry = Arc::clone(&self.registry);
        let registrar = Registrar::start(registry, config, Arc::downgrade(&self.host)).await?;
        // A node joins once.
        drop(self.registrar.set(registrar));
        Ok(())
    }

    /// Which node has a client; `is_fresh` asks past any cache of the registry.
    pub(super) async fn locate(&self, id: &str, is_fresh: bool) -> Result<Located, RegistryError> {
        let entry = self.registry.locate(id, is_fresh);
        let reply = RegistryError::with_timeout(self.timeout, "locate an id", entry).await;
        self.lookups.count(reply.is_ok());
        if reply.is_err() {
            self.lookup_failed.notify_one();
        }
        reply
    }

    /// Another live cluster that shares keys of the registry with this one.
    pub(super) async fn overlap(&self) -> Result<Option<String>, RegistryError> {
        let overlap = self
            .registry
            .overlap(self.address().map(|address| &**address));
        RegistryError::with_timeout(self.timeout, "look for other clusters", overlap).await
    }

    /// As [`NodeDirectory::locate`], at once without a reply (`None`) while the registry is away.
    pub(super) async fn try_locate(&self, id: &str, is_fresh: bool) -> Option<Located> {
        if self.is_available() {
            self.locate(id, is_fresh).await.ok()
        } else {
            None
        }
    }

    /// The nodes of the registry.
    pub(super) async fn nodes(&self) -> Result<Vec<NodeInfo>, RegistryError> {
        RegistryError::with_timeout(self.timeout, "list the nodes", self.registry.nodes()).await
    }

    /// The same, and whether it was answered decides whether lookups start.
    pub(super) async fn check_nodes(&self) -> Result<Vec<NodeInfo>, RegistryError> {
        let reply = self.nodes().await;
        self.is_available.store(reply.is_ok(), Ordering::Release);
        reply
    }

    /// A page of the entries of all nodes.
    pub(super) async fn scan(
        &self,
        cursor: Cursor,
    ) -> Result<Page<(ClientId, Arc<str>)>, RegistryError> {
        RegistryError::with_timeout(self.timeout, "list entries", self.registry.scan(cursor)).await
    }

    /// How many lookups there were, and how many were not answered.
    pub(super) fn lookups(&self) -> (u64, u64) {
        self.lookups.get()
    }

    /// Whether lookups start.
    pub(super) fn is_available(&self) -> bool {
        self.is_available.load(Ordering::Acquire)
    }

    /// Notified by each lookup that was not answered.
    pub(super) fn lookup_failed(&self) -> &Arc<Notify> {
        &self.lookup_failed
    }

    /// The number of entries that legacy nodes wrote, minus the number of Tieline's entries that they
    /// deleted; `None` if the registry does not count them.
    pub(super) fn legacy_entries(&self) -> Option<i64> {
        self.registrar().and_then(NodeRegistrar::foreign_balance)
    }

    /// The registry named this node for a client that it does not have.
    pub(super) fn report_missing(&self, id: &str) {
        if let Some(registrar) = self.registrar() {
            registrar.on_missing_client(id);
        }
    }

    /// Stops the registrar; entries stay until the lease runs out.
    pub(super) fn stop(&self) {
        if let Some(registrar) = self.registrar() {
            registrar.stop();
        }
    }
}
