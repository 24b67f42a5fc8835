//! The other nodes, with the link to each.
//!
//! Owns who is a peer: the nodes of the registry, nodes that opened a link to this one, legacy nodes
//! that entries name. Must not know what is sent over a link. Invariant: there is one link for each
//! address; it ends when its node is in neither the registry nor an entry, and the link is down or was opened
//! because of an entry only.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
};

use parking_lot::Mutex;
use tieline_registry::{DEFAULT_NAMESPACE, NodeInfo};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::pending::{Membership, Peer};
use crate::{
    hub::{Namespace, ScopeKey},
    link::{self, Link, LinkConfig, PeerTls, SecurityError, proto},
};

pub(super) type PeerMap = HashMap<Arc<str>, Arc<Peer>>;

pub(super) struct Peers {
    /// `None` once the node has ended.
    all: Mutex<Option<Arc<PeerMap>>>,
    is_single_node: bool,
    /// Addresses of legacy nodes, as the last search found them.
    legacy: Mutex<Vec<Arc<str>>>,
    config: Arc<LinkConfig>,
    tasks: TaskTracker,
}

impl Peers {
    /// `tasks` tracks the tasks of the links.
    pub(super) fn new(config: Arc<LinkConfig>, tasks: TaskTracker) -> Self {
        Self {
            all: Mutex::new(Some(Arc::default())),
            is_single_node: false,
            legacy: Mutex::default(),
            config,
            tasks,
        }
    }

    /// No peers, now or later.
    pub(super) fn never(config: Arc<LinkConfig>, tasks: TaskTracker) -> Self {
        Self {
            is_single_node: true,
            ..Self::new(config, tasks)
        }
    }

    /// Whether there can be no peers: who is not at this node is nowhere, and no message has to be ordered
    /// with one that is at another node.
    pub(super) fn is_single_node(&self) -> bool {
        self.is_single_node
    }

    /// Notified when the list of nodes is out of date.
    pub(super) fn list_is_stale(&self) -> Arc<Notify> {
        Arc::clone(&self.config.list_is_stale)
    }

    /// How many links were up and have ended.
    pub(super) fn links_ended(&self) -> u64 {
        self.config.links_ended.load(Ordering::Relaxed)
    }

    /// Replaces the certificates for connections that are made from now on.
    pub(super) fn replace_tls(&self, tls: &PeerTls) -> Result<(), SecurityError> {
        self.config.replace_tls(tls)
    }

    /// A snapshot; costs a lock and no allocation.
    pub(super) fn all(&self) -> Arc<PeerMap> {
        self.all.lock().clone().unwrap_or_default()
    }

    /// The peer at an address that an entry names; the first call starts its link. After [`Peers::end`] the
    /// link has ended already.
    pub(super) fn get_or_connect(&self, address: &Arc<str>) -> Arc<Peer> {
        self.connect(address, None, Membership::Unknown)
    }

    /// The peer at an address, where this process is.
    pub(super) fn connect_to(&self, address: &Arc<str>, process: Uuid) -> Arc<Peer> {
        let peer = self.connect(address, Some(process), Membership::Known);
        peer.link.expect(process);
        peer
    }

    fn connect(
        &self,
        address: &Arc<str>,
        process: Option<Uuid>,
        membership: Membership,
    ) -> Arc<Peer> {
        let mut all = self.all.lock();
        if let Some(peer) = all.as_ref().and_then(|all| all.get(address)) {
            return Arc::clone(peer);
        }
        if membership == Membership::Unknown {
            // The list of nodes says which process to expect there.
            self.config.list_is_stale.notify_one();
        }
        let (config, address) = (Arc::clone(&self.config), Arc::clone(address));
        let link = Link::start(Arc::clone(&address), process, config, &self.tasks);
        let peer = Peer::new(Arc::clone(&address), link, membership);
        let peer = Arc::new(peer);
        match all.as_mut() {
            Some(all) => drop(Arc::make_mut(all).insert(address, Arc::clone(&peer))),
            None => peer.link.end(),
        }
        peer
    }

    /// Starts links to the legacy nodes that entries name, and keeps them among the peers.
    pub(super) fn set_legacy(&self, addresses: Vec<Arc<str>>) {
        for address in &addresses {
            self.connect(address, None, Membership::Known);
        }
        *self.legacy.lock() = addresses;
    }

    /// Starts links to the nodes whose lease is alive and to legacy nodes; ends links that are down and
    /// belong to neither.
    pub(super) fn sync_members(&self, nodes: &[NodeInfo]) {
        let legacy = self.legacy.lock().clone();
        let leased: Vec<_> = nodes.iter().filter(|node| node.leased).collect();
        for node in &leased {
            if self.config.address.as_ref() != Some(&node.address) {
                self.connect_to(&node.address, node.process);
            }
        }
        let members = leased.iter().map(|node| &node.address);
        let members: HashSet<_> = members.chain(&legacy).collect();
        let mut all = self.all.lock();
        let Some(all) = all.as_mut() else {
            return;
        };
        let mut gone = Vec::new();
        for (address, peer) in all.iter() {
            let is_member = members.contains(&address);
            peer.set_in_membership(is_member);
            if !is_member && !peer.is_up_and_known() {
                gone.push(Arc::clone(address));
            }
        }
        for address in gone {
            if let Some(peer) = Arc::make_mut(all).remove(&address) {
                peer.link.end();
            }
        }
    }

    /// Whether a node takes new clients, as far as this one knows. One of which the link has not said so yet does not.
    pub(super) fn is_any_ready(&self) -> bool {
        self.all().values().any(|peer| {
            let link = &peer.link;
            link.is_up() && !link.is_unary_only() && !link.is_alias() && !link.may_have(not_ready())
        })
    }

    /// Ends all links, for good: a lookup or a claim that is still in progress may ask for a peer later.
    pub(super) fn end(&self) {
        let all = self.all.lock().take().unwrap_or_default();
        all.values().for_each(|peer| peer.link.end());
    }
}

/// Whether a node may have clients of a namespace. Every node may have some of the default one.
pub(super) fn may_have_any(peer: &Peer, names: &Namespace) -> bool {
    match names.name() {
        DEFAULT_NAMESPACE => true,
        name => peer.link.may_have(hash(ScopeKey::Namespace(name))),
    }
}

/// What a node that takes no new clients announces, among the scopes that have a connection there: peers of every
/// version keep what is announced, and know it as soon as they know scopes. No scope has this name.
pub(super) fn not_ready() -> u64 {
    link::hash(proto::Scope::Everyone, "\0not ready")
}

/// The hash by which peers know a scope.
pub(super) fn hash(key: ScopeKey<'_>) -> u64 {
    match key {
        ScopeKey::Namespace(name) => link::hash(proto::Scope::Everyone, name),
        ScopeKey::User(name) => link::hash(proto::Scope::User, name),
        ScopeKey::Group(name) => link::hash(proto::Scope::Group, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::PeerSecurity;

    #[tokio::test]
    async fn no_link_outlives_its_node() {
        let security = PeerSecurity::default();
        let config =
            LinkConfig::new(Uuid::nil(), "ws", &security).expect("nothing is wrong with it");
        let tasks = TaskTracker::new();
        let peers = Peers::new(Arc::new(config), tasks.clone());
        peers.get_or_connect(&"127.0.0.1:9".into());
        peers.end();
        peers.get_or_connect(&"127.0.0.1:10".into());
        assert!(peers.all().is_empty());
        tasks.close();
        let ended = tokio::time::timeout(std::time::Duration::from_secs(5), tasks.wait());
        ended.await.expect("the tasks of all links end");
    }
}
