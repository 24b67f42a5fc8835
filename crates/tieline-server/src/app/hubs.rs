//! The hubs of a node: which there are, who may connect to each, how much its clients may do, and how they are
//! reached.
//!
//! A hub is a namespace of the library, so that names in different hubs never meet. It needs no setup: it
//! exists once somebody uses it, unless only hubs with a table do. Must not know how a hub is named in a
//! request, nor where settings come from. Invariants: all that use a hub at a time share what is kept of
//! it, and nothing is kept of a hub that nobody uses: strangers can think up any number of names.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tieline::{Cluster, Origins, Presence, PresenceConfig};
use tokio::sync::Notify;

use super::{
    access::Access,
    limits::{Attempt, HubLimits, Quotas, TooManyRequests},
    notices::Notices,
    refusals::Refusals,
};
use crate::config::{hub_name::HubName, per_hub::PerHub};

/// The rules of a hub: who may connect to it, and how much its clients may do.
#[derive(Debug)]
pub(crate) struct HubRules {
    pub(crate) access: Access,
    /// Whose pages may connect without a token.
    pub(crate) origins: Origins,
    pub(crate) limits: Arc<HubLimits>,
}

/// How many members a presence channel of an app may have, and how long they stay after their last connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemberLimits {
    pub(crate) most: u32,
    pub(crate) grace: Duration,
}

impl MemberLimits {
    /// Those of an app that has none of its own, by default.
    #[cfg(test)]
    pub(crate) const USUAL: Self = Self {
        most: 100,
        grace: Duration::ZERO,
    };

    /// A presence with these limits.
    pub(crate) fn of(self, presence: &Presence) -> Presence {
        let limited = presence.with_members(Some(self.most));
        let limited = limited.and_then(|limited| limited.with_grace(self.grace));
        // They have been checked.
        limited.unwrap_or_else(|_| presence.clone())
    }

    /// What either of both allows.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            most: self.most.max(other.most),
            grace: self.grace.max(other.grace),
        }
    }
}

/// The hubs whose groups are also channels of apps, with the limits of the members that are no clients of an app.
pub(crate) type SharedHubs = BTreeMap<HubName, MemberLimits>;

/// The rules of all hubs at the moment: a reload replaces them. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct LiveHubRules(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    all: ArcSwap<AllRules>,
    replaced: Notify,
}

#[derive(Debug)]
struct AllRules {
    hubs: PerHub<Arc<HubRules>>,
    /// The hubs whose groups are also channels of an app.
    with_channels: SharedHubs,
}

impl LiveHubRules {
    /// The groups of `with_channels` are also channels of an app.
    pub(crate) fn new(hubs: PerHub<Arc<HubRules>>, with_channels: SharedHubs) -> Self {
        Self(Arc::new(Rules {
            all: ArcSwap::from_pointee(AllRules {
                hubs,
                with_channels,
            }),
            replaced: Notify::new(),
        }))
    }

    /// The hubs that have a table now.
    pub(crate) fn listed(&self) -> Vec<HubName> {
        self.0.all.load().hubs.names().cloned().collect()
    }

    /// Decides from now on. `other` is not used any more.
    pub(crate) fn replace(&self, other: &Self) {
        self.0.all.store(other.0.all.load_full());
        self.0.replaced.notify_one();
    }
}

/// The hubs of a node. Clones share them.
#[derive(Clone)]
pub(crate) struct Hubs(Arc<Shared>);

struct Shared {
    cluster: Cluster,
    rules: LiveHubRules,
    quotas: Arc<Quotas>,
    refusals: Refusals,
    notices: Notices,
    members: PresenceConfig,
    /// Made when it is needed first: it costs the registry something all the time. `None` if it cannot be.
    presence: OnceLock<Option<Presence>>,
    /// Those in use.
    open: Mutex<BTreeMap<HubName, Weak<OpenHub>>>,
}

/// A hub with the rules that it had when it was asked for. For a request; what lasts longer keeps the
/// [`HubHandle`].
#[derive(Clone)]
pub(crate) struct Hub {
    handle: HubHandle,
    rules: Arc<HubRules>,
}

/// A hub, for those who use it. One pointer: each client has one.
#[derive(Clone)]
pub(crate) struct HubHandle(Arc<OpenHub>);

struct OpenHub {
    name: HubName,
    cluster: Cluster,
    presence: OnceLock<Option<Presence>>,
    hubs: Arc<Shared>,
}

impl Hubs {
    pub(crate) fn new(cluster: Cluster, rules: LiveHubRules) -> Self {
        Self::with_members(cluster, rules, PresenceConfig::default())
    }

    /// With settings for the members of groups.
    pub(crate) fn with_members(
        cluster: Cluster,
        rules: LiveHubRules,
        members: PresenceConfig,
    ) -> Self {
        Self(Arc::new(Shared {
            cluster,
            rules,
            quotas: Arc::new(Quotas::new()),
            refusals: Refusals::default(),
            notices: Notices::default(),
            members,
            presence: OnceLock::new(),
            open: Mutex::default(),
        }))
    }

    /// What clients have used up of their limits.
    pub(crate) fn quotas(&self) -> &Arc<Quotas> {
        &self.0.quotas
    }

    /// Somebody at this address is about to prove that it is a backend, unless it has failed to too often.
    pub(crate) fn attempt(&self, address: Option<IpAddr>) -> Result<Attempt, TooManyRequests> {
        let rules = self.0.rules.0.all.load();
        let limits = rules.hubs.defaults().limits.requests;
        Attempt::begin(&self.0.quotas, limits, address)
    }

    /// Who was refused lately.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    /// What other nodes tell this one.
    pub(crate) fn notices(&self) -> &Notices {
        &self.0.notices
    }

    /// The cluster, in the default namespace, which no hub is.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.0.cluster
    }

    /// Who is in which group, over all hubs; `None` as long as nobody has asked for it.
    pub(crate) fn presence(&self) -> Option<&Presence> {
        self.0.presence.get()?.as_ref()
    }

    /// From now on, members whose connections end stay until [`end_presence`](Self::end_presence). Before clients are
    /// closed, so that those who come back on another node were never gone.
    pub(crate) fn keep_members(&self) {
        if let Some(presence) = self.presence() {
            presence.begin_drain();
        }
    }

    /// Ends what this node has said of the members of groups: whoever is still one goes, unless it comes back within
    /// seconds. Once no client is left.
    pub(crate) async fn end_presence(&self) {
        let Some(Some(presence)) = self.0.presence.get() else {
            return;
        };
        if let Err(error) = presence.drain().await {
            tracing::debug!(%error, "members of this node stay until its lease is over");
        }
    }

    /// The hubs whose groups are also channels of an app.
    pub(crate) fn with_channels(&self) -> BTreeSet<HubName> {
        self.0
            .rules
            .0
            .all
            .load()
            .with_channels
            .keys()
            .cloned()
            .collect()
    }

    /// Waits until the rules are replaced, or have been since the last call. For one task.
    pub(crate) async fn rules_replaced(&self) {
        self.0.rules.0.replaced.notified().await;
    }

    /// The hubs in use, in order.
    pub(crate) fn open_hubs(&self) -> Vec<HubHandle> {
        let open: Vec<_> = {
            let open = self.0.open.lock();
            open.values().filter_map(Weak::upgrade).collect()
        };
        // Outside the lock, which the last handle of a hub takes when it is dropped.
        open.into_iter().map(HubHandle).collect()
    }

    /// A hub; `None` if only hubs with a table exist, and this one has none.
    pub(crate) fn get(&self, name: &HubName) -> Option<Hub> {
        let rules = Arc::clone(self.0.rules.0.all.load().hubs.of(name.as_str())?);
        Some(Hub {
            handle: self.open(name)?,
            rules,
        })
    }

    /// The hub that an app has to itself, whichever hubs have a table: its rules are those of hubs without one.
    pub(crate) fn of_app(&self, id: &str) -> Option<Hub> {
        let rules = Arc::clone(self.0.rules.0.all.load().hubs.defaults());
        let handle = self.open(&HubName::of_app(id))?;
        Some(Hub { handle, rules })
    }

    fn open(&self, name: &HubName) -> Option<HubHandle> {
        let mut open = self.0.open.lock();
        if let Some(hub) = open.get(name).and_then(Weak::upgrade) {
            return Some(HubHandle(hub));
        }
        let hub = Arc::new(OpenHub {
            name: name.clone(),
            // The name of a hub is shorter than that of a namespace may be, and has no NUL.
            cluster: self.0.cluster.namespace(name.as_str()).ok()?,
            presence: OnceLock::new(),
            hubs: Arc::clone(&self.0),
        });
        open.insert(name.clone(), Arc::downgrade(&hub));
        Some(HubHandle(hub))
    }
}

impl Hub {
    pub(crate) fn name(&self) -> &HubName {
        &self.handle.0.name
    }

    pub(crate) fn rules(&self) -> &HubRules {
        &self.rules
    }

    pub(crate) fn handle(&self) -> &HubHandle {
        &self.handle
    }

    /// Takes a request of a backend from what the hub may have.
    pub(crate) fn take_request(&self) -> Result<(), TooManyRequests> {
        let limits = self.rules.limits.requests;
        self.handle.quotas().take_request(limits, self.name())
    }
}

impl HubHandle {
    pub(crate) fn name(&self) -> &HubName {
        &self.0.name
    }

    /// The rules at the moment; `None` if the hub does not exist any more.
    pub(crate) fn rules(&self) -> Option<Arc<HubRules>> {
        let rules = &self.0.hubs.rules.0.all.load().hubs;
        let of_app = || self.name().is_of_app().then(|| rules.defaults());
        rules.of(self.name().as_str()).or_else(of_app).cloned()
    }

    /// Whether its groups are also channels of an app.
    pub(crate) fn has_channels(&self) -> bool {
        self.member_limits().is_some()
    }

    /// The limits of members that are no clients of an app; `None` if the groups are no channels of an app.
    pub(crate) fn member_limits(&self) -> Option<MemberLimits> {
        let hubs = &self.0.hubs.rules.0.all.load().with_channels;
        hubs.get(self.name()).copied()
    }

    /// Who was refused lately.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.0.hubs.refusals
    }

    /// What clients have used up of their limits.
    pub(crate) fn quotas(&self) -> &Quotas {
        &self.0.hubs.quotas
    }

    /// The cluster as the hub sees it: its clients, users and groups, on all nodes.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.0.cluster
    }

    /// Who is in which group of the hub, on all nodes; `None` if the registry cannot keep that.
    pub(crate) fn presence(&self) -> Option<&Presence> {
        let own = || {
            let hubs = &self.0.hubs;
            let presence = hubs.presence.get_or_init(|| hubs.start_presence());
            presence.as_ref()?.namespace(self.name().as_str()).ok()
        };
        self.0.presence.get_or_init(own).as_ref()
    }
}

impl Shared {
    fn start_presence(&self) -> Option<Presence> {
        let presence = Presence::with_config(&self.cluster, self.members.clone());
        let presence = presence.inspect_err(|error| {
            tracing::warn!(%error, "nobody knows who is in a group");
        });
        presence.ok()
    }
}

impl Drop for OpenHub {
    fn drop(&mut self) {
        let mut open = self.hubs.open.lock();
        // Unless somebody has opened it again meanwhile.
        if open
            .get(&self.name)
            .is_some_and(|hub| hub.strong_count() == 0)
        {
            open.remove(&self.name);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
