//! The index of a shard: which of its connections have which id, user and group.
//!
//! Owns the maps and the snapshots of audiences. Must not know how messages are delivered. Invariants: an
//! id names one connection; a connection that the index does not hold by its id is in no user's and no
//! group's audience either; an audience is exactly who belonged at the call that took it.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::Arc,
};

use hashbrown::HashTable;

#[cfg(feature = "cluster")]
use super::claimants::Claimants;
use super::{
    inner::ConnectionInner,
    observer::{HubObserver, ScopeKey},
};
use crate::config::Duplicate;

/// The receivers of a message, as they were when it was sent.
pub(super) type Audience = Arc<[Arc<ConnectionInner>]>;

/// The receivers of a message, by name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    Everyone,
    User(&'a str),
    Group(&'a str),
}

// The maps keep std's SipHash: clients may choose ids and group names.
pub(super) struct ShardIndex {
    /// By the hash of the id, which the hub has computed already: it names the shard too.
    ids: HashTable<Arc<ConnectionInner>>,
    hasher: RandomState,
    users: HashMap<Arc<str>, MemberSet>,
    groups: HashMap<Arc<str>, MemberSet>,
    /// The snapshot of all connections, until one comes or goes.
    everyone: Option<Audience>,
    observer: Option<Arc<dyn HubObserver>>,
    /// Connections that are not in any of the above before their admission.
    #[cfg(feature = "cluster")]
    pub(super) claimants: Claimants,
}

/// The members of a scope, and their snapshot until one comes or goes. A new snapshot costs a small share
/// of sending to its members, so churn does not make it matter.
#[derive(Default)]
struct MemberSet {
    members: HashSet<ByPtr, foldhash::fast::FixedState>,
    snapshot: Option<Audience>,
}

/// A connection, compared by address.
struct ByPtr(Arc<ConnectionInner>);

/// The result of an insertion.
pub(super) enum Inserted {
    /// The id was free.
    Fresh,
    /// The id was taken; the older connection is out of the index and has to be closed.
    Replaced(Arc<ConnectionInner>),
    /// The id is taken, and the newer connection is refused.
    Taken,
}

impl ShardIndex {
    /// An empty index that hashes ids as the hub does.
    pub(super) fn new(hasher: RandomState) -> Self {
        Self {
            ids: HashTable::new(),
            hasher,
            users: HashMap::new(),
            groups: HashMap::new(),
            everyone: None,
            observer: None,
            #[cfg(feature = "cluster")]
            claimants: Claimants::default(),
        }
    }

    pub(super) fn insert(&mut self, conn: &Arc<ConnectionInner>, duplicate: Duplicate) -> Inserted {
        let hash = self.hasher.hash_one(&*conn.id);
        let older = self.find(hash, &conn.id);
        if let Some(older) = &older {
            if duplicate == Duplicate::Reject && !older.is_close_requested() {
                return Inserted::Taken;
            }
            // Its departure is reported when its task ends: until then the id is not free elsewhere.
            self.unlink(older);
        }
        self.everyone = None;
        let hasher = &self.hasher;
        self.ids
            .insert_unique(hash, Arc::clone(conn), |conn| hasher.hash_one(&*conn.id));
        if let Some(user) = &conn.user {
            self.add_to_user(user, conn);
        }
        for group in conn.groups.lock().names() {
            self.add_to_group(group, conn);
        }
        older.map_or(Inserted::Fresh, Inserted::Replaced)
    }

    /// Removes a connection; false if it is not there, or another has its id by now.
    pub(super) fn remove(&mut self, conn: &Arc<ConnectionInner>) -> bool {
        let removed = self.unlink(conn);
        if removed {
            self.notify_left(conn);
        }
        removed
    }

    /// Reports that a connection has left the hub.
    pub(super) fn notify_left(&self, conn: &Arc<ConnectionInner>) {
        self.notify(|observer| observer.left(conn));
    }

    /// Removes a connection without reporting it; false as [`ShardIndex::remove`].
    fn unlink(&mut self, conn: &Arc<ConnectionInner>) -> bool {
        let hash = self.hasher.hash_one(&*conn.id);
        let same = |held: &Arc<ConnectionInner>| Arc::ptr_eq(held, conn);
        let Ok(entry) = self.ids.find_entry(hash, same) else {
            return false;
        };
        entry.remove();
        self.everyone = None;
        if let Some(user) = &conn.user
            && remove_member(&mut self.users, user, conn)
        {
            self.notify(|observer| observer.lost(ScopeKey::User(user)));
        }
        for group in conn.groups.lock().names() {
            self.remove_from_group(group, conn);
        }
        true
    }

    pub(super) fn contains(&self, conn: &Arc<ConnectionInner>) -> bool {
        let hash = self.hasher.hash_one(&*conn.id);
        let same = |held: &Arc<ConnectionInner>| Arc::ptr_eq(held, conn);
        self.ids.find(hash, same).is_some()
    }

    /// The connection with an id; `hash` is the id's.
    pub(super) fn find(&self, hash: u64, id: &str) -> Option<Arc<ConnectionInner>> {
        self.ids.find(hash, |held| *held.id == *id).map(Arc::clone)
    }

    /// Adds a connection that the index holds to a group; false if it is a member already.
    pub(super) fn join(&mut self, conn: &Arc<ConnectionInner>, group: Arc<str>) -> bool {
        let mut groups = conn.groups.lock();
        let fresh = !groups.contains(&group);
        if fresh {
            self.add_to_group(&group, conn);
            groups.insert(group);
        }
        fresh
    }

    /// As [`ShardIndex::join`], up to a number of groups; `None` beyond it.
    pub(super) fn join_within(
        &mut self,
        conn: &Arc<ConnectionInner>,
        group: Arc<str>,
        limit: usize,
    ) -> Option<bool> {
        let groups = conn.groups.lock();
        if groups.names().len() >= limit && !groups.contains(&group) {
            return None;
        }
        drop(groups);
        Some(self.join(conn, group))
    }

    /// Removes a connection from a group; false if it is not a member.
    pub(super) fn leave(&mut self, conn: &Arc<ConnectionInner>, group: &str) -> bool {
        if !conn.groups.lock().remove(group) {
            return false;
        }
        self.remove_from_group(group, conn);
        true
    }

    /// Reports to an observer from now on, beginning with the scopes that have members already; false if
    /// there is an observer.
    #[cfg(feature = "cluster")]
    pub(super) fn set_observer(&mut self, observer: Arc<dyn HubObserver>) -> bool {
        if self.observer.is_some() {
            return false;
        }
        self.users
            .keys()
            .for_each(|name| observer.gained(ScopeKey::User(name)));
        self.groups
            .keys()
            .for_each(|name| observer.gained(ScopeKey::Group(name)));
        self.observer = Some(observer);
        true
    }

    fn add_to_user(&mut self, user: &Arc<str>, conn: &Arc<ConnectionInner>) {
        if add_member(&mut self.users, user, conn) {
            self.notify(|observer| observer.gained(ScopeKey::User(user)));
        }
    }

    fn add_to_group(&mut self, group: &Arc<str>, conn: &Arc<ConnectionInner>) {
        if add_member(&mut self.groups, group, conn) {
            self.notify(|observer| observer.gained(ScopeKey::Group(group)));
        }
    }

    fn remove_from_group(&mut self, group: &str, conn: &Arc<ConnectionInner>) {
        if remove_member(&mut self.groups, group, conn) {
            self.notify(|observer| observer.lost(ScopeKey::Group(group)));
        }
    }

    /// Reports the user and groups of a connection before it belongs to them.
    #[cfg(feature = "cluster")]
    pub(super) fn announce(&self, conn: &ConnectionInner) {
        for_each_scope(conn, |key| self.notify(|observer| observer.gained(key)));
    }

    /// Takes back what [`ShardIndex::announce`] has reported: the connection belongs to its user and groups
    /// now, or will never.
    #[cfg(feature = "cluster")]
    pub(super) fn retract(&self, conn: &ConnectionInner) {
        for_each_scope(conn, |key| self.notify(|observer| observer.lost(key)));
    }

    fn notify(&self, event: impl FnOnce(&dyn HubObserver)) {
        if let Some(observer) = &self.observer {
            event(&**observer);
        }
    }

    pub(super) fn users(&self) -> Vec<Arc<str>> {
        self.users.keys().map(Arc::clone).collect()
    }

    /// The members of a scope now; `None` if there are none.
    pub(super) fn audience(&mut self, scope: Scope<'_>) -> Option<Audience> {
        match scope {
            Scope::Everyone if self.ids.is_empty() => None,
            Scope::Everyone => {
                let ids = &self.ids;
                let snapshot = || ids.iter().map(Arc::clone).collect();
                Some(Arc::clone(self.everyone.get_or_insert_with(snapshot)))
            }
            Scope::User(name) => self.users.get_mut(name).map(MemberSet::audience),
            Scope::Group(name) => self.groups.get_mut(name).map(MemberSet::audience),
        }
    }
}

impl MemberSet {
    fn audience(&mut self) -> Audience {
        let members = &self.members;
        let snapshot = || members.iter().map(|entry| Arc::clone(&entry.0)).collect();
        Arc::clone(self.snapshot.get_or_insert_with(snapshot))
    }
}

/// Adds a member to a scope; true if it is the first.
fn add_member(
    sets: &mut HashMap<Arc<str>, MemberSet>,
    name: &Arc<str>,
    conn: &Arc<ConnectionInner>,
) -> bool {
    let set = sets.entry(Arc::clone(name)).or_default();
    set.snapshot = None;
    set.members.insert(ByPtr(Arc::clone(conn))) && set.members.len() == 1
}

/// Removes a member from a scope; true if it was the last. The scope goes with it, so that names cost
/// nothing once nobody uses them.
fn remove_member(
    sets: &mut HashMap<Arc<str>, MemberSet>,
    name: &str,
    conn: &Arc<ConnectionInner>,
) -> bool {
    let Some(set) = sets.get_mut(name) else {
        return false;
    };
    set.members.remove(&ByPtr(Arc::clone(conn)));
    set.snapshot = None;
    set.members.is_empty() && sets.remove(name).is_some()
}

#[cfg(feature = "cluster")]
fn for_each_scope(conn: &ConnectionInner, mut report: impl FnMut(ScopeKey<'_>)) {
    if let Some(user) = &conn.user {
        report(ScopeKey::User(user));
    }
    for group in conn.groups.lock().names() {
        report(ScopeKey::Group(group));
    }
}

impl Hash for ByPtr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).addr().hash(state);
    }
}

impl PartialEq for ByPtr {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ByPtr {}
