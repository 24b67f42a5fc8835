//! The public face of presence.
//!
//! Owns nothing but handles: it turns calls into entries of the table, and questions to the registry.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tieline_registry::{
    Cursor, MAX_INFO, Member, NameError, RosterKind, RosterName, id, roster_table::Verdict,
};
use tokio::time::timeout;

use super::{
    config::{EnterOutcome, Exit, Limits, PresenceConfig, PresenceError, RosterPart},
    dispatcher::{Dispatcher, Dispatching},
    dispatching::DispatchTask,
    reader::FEW,
    shared::Shared,
    start::Tasks,
};
use crate::{cluster::Cluster, hub::Namespace};

/// For how long users of a node that has ended stay at least, if it has kept them while its connections were closed.
const RETURN: Duration = Duration::from_secs(5);

/// Who is in which group, over the whole cluster. Cheap to clone; all clones are the same node.
///
/// A user is a member of a group from the first of its connections that [enters](Self::enter), on any node, to the
/// last that [exits](Self::exit). Each coming and going is told once to everyone who [follows](Self::follow) the
/// group, in one order for the whole cluster, also when a node crashes: then its users go once its lease has run out,
/// unless they are elsewhere. The registry keeps the rosters; nodes tell each other nothing.
///
/// Make one for each node. It is of the [namespace](Cluster::namespace) of the cluster's handle; see
/// [`namespace`](Self::namespace). When the last clone is dropped, what this node has entered stays until its lease
/// and the [grace](PresenceConfig::grace) have run out; [`drain`](Self::drain) is the end in order.
///
/// Costs one request to the registry for all that comes and goes while the one before is answered, 4 µs of Redis for
/// each user in a crowd and 12 µs for one alone; two small requests a second while idle, and one every 50 ms while
/// anybody follows on this node. A member with 40 bytes of information takes 180 bytes of Redis.
///
/// ```
/// use std::sync::Arc;
/// use tieline::{
///     Change, Cluster, ClusterConfig, Config, EnterOutcome, Exit, Hub, Presence,
///     registry::MemoryRegistry,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Arc::new(MemoryRegistry::new());
/// let hub = Hub::new(Config::default())?;
/// let node = Cluster::start(hub, registry.clone(), ClusterConfig::default()).await?;
/// let presence = Presence::new(&node)?;
///
/// let mut lobby = presence.follow("lobby").await?;
/// assert!(matches!(lobby.next().await, Some(Change::Snapshot { members, .. }) if members.is_empty()));
///
/// let entered = presence.enter("lobby", "ada", r#"{"name":"Ada Lovelace"}"#).await?;
/// assert_eq!(entered, EnterOutcome::Entered);
/// let Some(Change::Transitions { transitions, .. }) = lobby.next().await else {
///     panic!("what follows a snapshot is what has changed");
/// };
/// assert_eq!(&*transitions[0].member.user, "ada");
/// assert_eq!(presence.counts("lobby").await?, 1);
///
/// presence.exit("lobby", "ada", Exit::Left);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Presence {
    pub(super) shared: Arc<Shared>,
    pub(super) tasks: Arc<Tasks>,
    names: Namespace,
    pub(super) limits: Limits,
}

/// Start and end.
impl Presence {
    /// Presence with the default settings.
    ///
    /// # Errors
    /// The registry keeps no rosters.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(cluster: &Cluster) -> Result<Self, PresenceError> {
        Self::with_config(cluster, PresenceConfig::default())
    }

    /// Presence with other settings. Give all nodes the same.
    ///
    /// # Errors
    /// A setting is out of bounds, or the registry keeps no rosters.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn with_config(cluster: &Cluster, config: PresenceConfig) -> Result<Self, PresenceError> {
        config.validate()?;
        let registry = Arc::clone(cluster.registry());
        if registry.rosters().is_none() {
            return Err(PresenceError::Unsupported);
        }
        let limits = Limits::of(&config);
        let shared = Shared::new(registry, config, cluster.registry_times());
        let shared = Arc::new(shared);
        Ok(Self {
            tasks: Arc::new(Tasks::start(&shared)),
            shared,
            names: cluster.names().clone(),
            limits,
        })
    }

    /// The same node in another namespace, as [`Cluster::namespace`]: each call of what this returns is about groups
    /// of that namespace. A [dispatcher](Self::dispatch) gets those of all.
    ///
    /// # Errors
    /// The name is longer than [`MAX_NAMESPACE`](crate::MAX_NAMESPACE) bytes, or contains a NUL.
    pub fn namespace(&self, name: &str) -> Result<Self, NameError> {
        let names = Namespace::new(name)?;
        Ok(Self {
            names,
            ..self.clone()
        })
    }

    pub(super) fn limited(&self, limits: Limits) -> Self {
        Self {
            limits,
            ..self.clone()
        }
    }

    /// Begins the end of this node: from now on a user whose connection [ends](Exit::Disconnected) stays a member until
    /// [`drain`](Self::drain), whatever the grace, so that clients that come back elsewhere were never gone. Call it
    /// before [`Node::drain`](crate::Node::drain), which closes connections, and `drain` after it. All else goes on:
    /// connections that are still open [enter](Self::enter), and [leave](Exit::Left). Costs nothing.
    pub fn begin_drain(&self) {
        self.shared.keeps_users.store(true, Relaxed);
    }

    /// Ends this node's part in order: its users stay for the [grace](PresenceConfig::grace) from now on, and go then,
    /// unless they have come elsewhere; after [`begin_drain`](Self::begin_drain) they stay for 5 s at least, the time
    /// to come back for the clients that were closed last. From now on [`exit`](Self::exit) does nothing here, and
    /// [`enter`](Self::enter) is refused.
    ///
    /// # Errors
    /// The registry does not answer. Then the users go once the lease and the grace have run out.
    pub async fn drain(&self) -> Result<(), PresenceError> {
        self.shared.is_draining.store(true, Relaxed);
        let Some(term) = self.shared.term() else {
            return Ok(());
        };
        let grace = self.shared.longest_grace();
        // Without users, another dispatcher may take over at once.
        let keeps_some =
            self.shared.keeps_users.load(Relaxed) && self.shared.table(|table| !table.is_empty());
        let after = if keeps_some { grace.max(RETURN) } else { grace };
        Ok(self.shared.end(term, after).await?)
    }
}

/// Coming and going.
impl Presence {
    /// A connection of a user is in a group of this node. Call it once for each, and [`exit`](Self::exit) as often:
    /// the node counts. Members are told `info` about the user; of several connections, that of the last one that is
    /// not empty counts: a connection that has nothing to say of its user leaves what others have said. An `Arc<str>` is
    /// shared for as long as the user is a member; any other text is copied.
    ///
    /// Waits for the registry for [`PresenceConfig::enter_timeout`] at most, and not at all if the user has been
    /// entered by this node before.
    ///
    /// # Errors
    /// A name cannot be used, the information is longer than 2,048 bytes, or the node drains.
    pub async fn enter(
        &self,
        group: &str,
        user: impl Into<Arc<str>>,
        info: impl Into<Arc<str>>,
    ) -> Result<EnterOutcome, PresenceError> {
        let (user, info) = (user.into(), info.into());
        id::check(&user)?;
        if info.len() > MAX_INFO {
            return Err(PresenceError::Info(info.len()));
        }
        let roster = self.roster_of(RosterKind::Members, group)?;
        self.enter_roster(roster, (user, info)).await
    }

    /// A connection of a user is not in a group of this node any more. Does nothing if it was not. Call it once
    /// [`enter`](Self::enter) has answered, or its future is dropped: a refusal that nobody has heard yet has taken
    /// back the connection already.
    pub fn exit(&self, group: &str, user: &str, exit: Exit) {
        if let Ok(roster) = self.roster_of(RosterKind::Members, group) {
            self.exit_roster(&roster, user, exit);
        }
    }

    /// A connection without a user is in a group of this node: the group is occupied, and nobody is told by whom. Call
    /// it once for each, and [`vacate`](Self::vacate) as often. For groups whose members nobody needs: it costs the
    /// registry one entry for each node instead of one for each user.
    ///
    /// # Errors
    /// The name cannot be used, or the node drains.
    pub async fn occupy(&self, group: &str) -> Result<EnterOutcome, PresenceError> {
        let roster = self.roster_of(RosterKind::Occupancy, group)?;
        self.enter_roster(roster, Default::default()).await
    }

    /// Such a connection is not in a group any more.
    pub fn vacate(&self, group: &str, exit: Exit) {
        if let Ok(roster) = self.roster_of(RosterKind::Occupancy, group) {
            self.exit_roster(&roster, "", exit);
        }
    }

    /// A connection of a user has signed in at this node, whatever groups it is in: the user is online. Call it once
    /// for each, and [`sign_out`](Self::sign_out) as often. One entry in the registry for each node and user.
    ///
    /// # Errors
    /// The name cannot be used, or the node drains.
    pub async fn sign_in(&self, user: &str) -> Result<EnterOutcome, PresenceError> {
        let roster = self.roster_of(RosterKind::Online, user)?;
        self.enter_roster(roster, Default::default()).await
    }

    /// Such a connection has ended, or signed out.
    pub fn sign_out(&self, user: &str, exit: Exit) {
        if let Ok(roster) = self.roster_of(RosterKind::Online, user) {
            self.exit_roster(&roster, "", exit);
        }
    }

    async fn enter_roster(
        &self,
        roster: RosterName,
        (user, info): (Arc<str>, Arc<str>),
    ) -> Result<EnterOutcome, PresenceError> {
        if self.shared.is_draining.load(Relaxed) {
            return Err(PresenceError::Draining);
        }
        let Some(verdict) = self.shared.enter(roster, (user, info), self.limits.members) else {
            return Ok(EnterOutcome::Entered);
        };
        if self.shared.is_away.load(Relaxed) {
            return Ok(EnterOutcome::Pending);
        }
        let limit = self.shared.config.enter_timeout;
        Ok(match timeout(limit, verdict).await {
            Ok(Ok(Verdict::Entered)) => EnterOutcome::Entered,
            Ok(Ok(Verdict::Full)) => EnterOutcome::Full,
            Ok(Err(_)) | Err(_) => EnterOutcome::Pending,
        })
    }

    fn exit_roster(&self, roster: &RosterName, user: &str, exit: Exit) {
        if self.shared.is_draining.load(Relaxed) {
            return;
        }
        let after = match exit {
            Exit::Left => Duration::ZERO,
            // They go with the node.
            Exit::Disconnected if self.shared.keeps_users.load(Relaxed) => return,
            Exit::Disconnected => self.limits.grace,
        };
        self.shared.exit(roster, user, after);
    }

    pub(super) fn roster_of(&self, kind: RosterKind, group: &str) -> Result<RosterName, NameError> {
        id::check(group)?;
        Ok(RosterName::new(kind, &self.names.key(group)))
    }
}

/// Who is there.
impl Presence {
    /// The members of a group, sorted by user. More than 512 are read a thousand at a time, and so need not all have
    /// been members at one moment; [`follow`](Self::follow) is exact.
    ///
    /// # Errors
    /// The name cannot be used, or the registry does not answer.
    pub async fn roster(&self, group: &str) -> Result<Vec<Member>, PresenceError> {
        let roster = self.roster_of(RosterKind::Members, group)?;
        let asked = self.shared.ask("read a roster", |rosters| {
            let roster = roster.clone();
            Box::pin(async move { rosters.roster(&roster, FEW).await })
        });
        if let Some(mut members) = asked.await?.members {
            members.sort_unstable();
            return Ok(members);
        }
        let mut all = BTreeMap::new();
        let mut from = Some(Cursor::default());
        while let Some(cursor) = from {
            let page = self.page(group, cursor).await?;
            all.extend(page.members.into_iter().map(|one| (one.user, one.info)));
            from = page.next;
        }
        let members = all.into_iter();
        Ok(members.map(|(user, info)| Member { user, info }).collect())
    }

    /// Some members of a group; begin with [`Cursor::default`].
    ///
    /// # Errors
    /// The name cannot be used, the cursor is none of this walk, or the registry does not answer.
    pub async fn page(&self, group: &str, from: Cursor) -> Result<RosterPart, PresenceError> {
        let roster = self.roster_of(RosterKind::Members, group)?;
        let asked = self.shared.ask("read a page of a roster", |rosters| {
            Box::pin(async move { rosters.page(&roster, from).await })
        });
        let page = asked.await?;
        Ok(RosterPart {
            members: page.members,
            next: page.next,
            version: page.tail,
        })
    }

    /// How many members a group has.
    ///
    /// # Errors
    /// The name cannot be used, or the registry does not answer.
    pub async fn counts(&self, group: &str) -> Result<u64, PresenceError> {
        let roster = self.roster_of(RosterKind::Members, group)?;
        let asked = self.shared.ask("read a roster", |rosters| {
            Box::pin(async move { rosters.roster(&roster, 0).await })
        });
        Ok(asked.await?.count)
    }

    /// The groups of this namespace that have members, or that are [occupied](Self::occupy), sorted. Walks over the
    /// groups of all namespaces: a request for each thousand.
    ///
    /// # Errors
    /// The registry does not answer.
    pub async fn occupied(&self) -> Result<Vec<Arc<str>>, PresenceError> {
        let mut groups = BTreeSet::new();
        for kind in [RosterKind::Members, RosterKind::Occupancy] {
            let mut from = Some(Cursor::default());
            while let Some(cursor) = from {
                let asked = self
                    .shared
                    .ask("list the rosters", |rosters| rosters.rosters(kind, cursor));
                let page = asked.await?;
                let keys = page
                    .items
                    .iter()
                    .map(|roster| Arc::from(roster.group_key()));
                groups.extend(keys.filter_map(|key| self.names.name_of(&key)));
                from = page.next;
            }
        }
        Ok(groups.into_iter().collect())
    }

    /// Hands the changes of all groups to a dispatcher, while no other node does. Call it on several nodes: one of
    /// them dispatches, and another takes over within a lease and the grace when it dies.
    pub fn dispatch(&self, dispatcher: impl Dispatcher) -> Dispatching {
        DispatchTask::start(Arc::clone(&self.shared), dispatcher)
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence")
            .field("namespace", &self.names)
            .field("entries", &self.shared.table(|table| table.len()))
            .field("is_away", &self.shared.is_away.load(Relaxed))
            .finish_non_exhaustive()
    }
}
