//! The index of a shard: which of its connections have which id, user and group.
//!
//! Owns the connections, and who is in which scope; all names are keys. Must not know how messages are
//! delivered; it numbers those that are queued, so that it can say later for whom they were. No call looks at
//! more than a slice of a scope, because each message needs the lock. Invariants: an id names one connection; a
//! connection that the index does not hold by its id is in no user's, group's or namespace's scope either; a
//! message goes to exactly those who belonged to its scope when it was queued.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use tieline_registry::id::{self, DEFAULT_NAMESPACE};

#[cfg(feature = "cluster")]
use super::claimants::Claimants;
use super::{
    inner::ConnectionInner,
    members::{Members, Number, Removed},
    names::Names,
    observer::{HubObserver, ScopeKey},
    scope::{Hashed, OwnedScope},
    shard_map::ShardMaps,
};
use crate::config::Duplicate;

mod scopes;

pub(super) struct ShardIndex {
    /// Those of the default namespace, by the hash of the id, which the hub has computed already: it names the
    /// shard too.
    connections: Members<ConnectionInner>,
    /// Those of all other namespaces, likewise. Apart, because the first are the scope of everyone.
    elsewhere: Members<ConnectionInner>,
    /// The scopes of everyone in these.
    namespaces: Names,
    users: Names,
    groups: Names,
    hasher: RandomState,
    observer: Option<Arc<dyn HubObserver>>,
    /// The last message that was queued.
    queued: Number,
    /// Those who left a scope, and are kept for what waits for them.
    pub(super) departed: usize,
    /// The most of them, beside the number of connections.
    max_departed: usize,
    /// Connections that are not in any of the above before their admission.
    #[cfg(feature = "cluster")]
    pub(super) claimants: Claimants,
}

/// The result of an insertion.
pub(super) enum Inserted {
    /// The id was free.
    Fresh,
    /// The id was taken; the older connection is out of the index and has to be closed.
    Replaced(Arc<ConnectionInner>),
    /// The id is taken, and the newer connection is refused.
    Taken,
}

/// The connection has another user.
pub(super) struct OtherUser;

/// For whom a message is, in this shard.
pub(super) struct Audience {
    pub(super) scope: Hashed<OwnedScope>,
    pub(super) number: Number,
    /// How many connections that is, without those left out.
    pub(super) receivers: usize,
    /// The addresses of those left out.
    pub(super) excluded: Box<[usize]>,
}

/// How far a walk over all connections has come: the part of the table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// Of the default namespace, which comes first.
    Default(usize),
    /// Of all others.
    Elsewhere(usize),
}

impl Place {
    pub(super) const START: Self = Self::Default(0);
}

impl ShardIndex {
    /// The empty index of the shard with this number; it hashes ids and names as the hub does.
    pub(super) fn new(
        shard: usize,
        maps: &ShardMaps,
        hasher: RandomState,
        max_departed: usize,
    ) -> Self {
        Self {
            connections: Members::new(),
            elsewhere: Members::new(),
            namespaces: Names::new(hasher.clone(), Arc::clone(&maps.namespaces), shard),
            users: Names::new(hasher.clone(), Arc::clone(&maps.users), shard),
            groups: Names::new(hasher.clone(), Arc::clone(&maps.groups), shard),
            hasher,
            observer: None,
            queued: 0,
            departed: 0,
            max_departed,
            #[cfg(feature = "cluster")]
            claimants: Claimants::default(),
        }
    }

    pub(super) fn insert(&mut self, conn: &Arc<ConnectionInner>, duplicate: Duplicate) -> Inserted {
        let hash = self.hasher.hash_one(conn.id.key());
        let older = self.find(hash, conn.id.key());
        if let Some(older) = &older {
            if duplicate == Duplicate::Reject && !older.is_close_requested() {
                return Inserted::Taken;
            }
            // Its departure is reported when its task ends: until then the id is not free elsewhere.
            self.unlink(older);
        }
        let hasher = self.hasher.clone();
        self.table_mut(conn.id.key())
            .insert(hash, Arc::clone(conn), |conn| {
                hasher.hash_one(conn.id.key())
            });
        if let Some(namespace) = namespace_of(conn)
            && self.namespaces.add(&namespace.into(), conn).0 == 1
        {
            self.notify(|observer| observer.gained(ScopeKey::Namespace(namespace)));
        }
        if let Some(user) = conn.user() {
            self.add_to_user(user, conn);
        }
        for group in conn.groups.lock().names() {
            self.add_to_group(Arc::clone(group), conn);
        }
        self.notify(|observer| observer.entered(conn.id.key()));
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
        let hash = self.hasher.hash_one(conn.id.key());
        let remember = self.remembers(conn);
        let removed = self.table_mut(conn.id.key()).remove(hash, conn, remember);
        if removed == Removed::NotAMember {
            return false;
        }
        self.on_removed(removed);
        if let Some(namespace) = namespace_of(conn) {
            let remember = self.remembers(conn);
            let (removed, left) = self.namespaces.remove(namespace, conn, remember);
            self.on_removed(removed);
            if left == 0 {
                self.notify(|observer| observer.lost(ScopeKey::Namespace(namespace)));
            }
        }
        if let Some(user) = conn.user() {
            let remember = self.remembers(conn);
            let (removed, left) = self.users.remove(user, conn, remember);
            self.on_removed(removed);
            if left == 0 {
                self.notify(|observer| observer.lost(ScopeKey::User(user)));
            }
        }
        for group in conn.groups.lock().names() {
            self.remove_from_group(group, conn);
        }
        true
    }

    /// Whether one who leaves a scope still gets what waits for it. Once its close has begun it gets
    /// nothing any more. Beside as many as there are connections, a bounded number is kept; if more leave,
    /// they miss what waits, and nobody else does.
    fn remembers(&self, conn: &ConnectionInner) -> bool {
        let connections = self.connections.len() + self.elsewhere.len();
        let most = self.max_departed.saturating_add(connections);
        self.departed < most && !conn.is_closing()
    }

    fn on_removed(&mut self, removed: Removed) {
        self.departed += usize::from(removed == Removed::Remembered);
    }

    pub(super) fn contains(&self, conn: &Arc<ConnectionInner>) -> bool {
        let hash = self.hasher.hash_one(conn.id.key());
        let is_same = |held: &ConnectionInner| std::ptr::eq(held, &raw const **conn);
        self.table(conn.id.key()).find(hash, is_same).is_some()
    }

    /// The connection with an id; `hash` is the id's.
    pub(super) fn find(&self, hash: u64, id: &str) -> Option<Arc<ConnectionInner>> {
        self.find_ref(hash, id).map(Arc::clone)
    }

    fn find_ref(&self, hash: u64, id: &str) -> Option<&Arc<ConnectionInner>> {
        self.table(id).find(hash, |held| held.id.key() == id)
    }

    /// Where the connection with an id is.
    fn table(&self, id: &str) -> &Members<ConnectionInner> {
        match id::split(id).0 {
            DEFAULT_NAMESPACE => &self.connections,
            _ => &self.elsewhere,
        }
    }

    fn table_mut(&mut self, id: &str) -> &mut Members<ConnectionInner> {
        match id::split(id).0 {
            DEFAULT_NAMESPACE => &mut self.connections,
            _ => &mut self.elsewhere,
        }
    }

    /// Names the user of a connection that the index holds, unless it has one.
    pub(super) fn set_user(
        &mut self,
        conn: &Arc<ConnectionInner>,
        user: Arc<str>,
    ) -> Result<(), OtherUser> {
        if let Some(named) = conn.user() {
            return if *named == user {
                Ok(())
            } else {
                Err(OtherUser)
            };
        }
        self.add_to_user(&user, conn);
        conn.set_user(user);
        Ok(())
    }

    /// Adds a connection that the index holds to a group; false if it is a member already.
    pub(super) fn join(&mut self, conn: &Arc<ConnectionInner>, group: Arc<str>) -> bool {
        let mut groups = conn.groups.lock();
        let fresh = !groups.contains(&group);
        if fresh {
            groups.insert(self.add_to_group(group, conn));
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
    /// there is an observer. Takes time for each of them: a cluster starts before clients come.
    #[cfg(feature = "cluster")]
    pub(super) fn set_observer(&mut self, observer: Arc<dyn HubObserver>) -> bool {
        if self.observer.is_some() {
            return false;
        }
        self.namespaces
            .iter()
            .for_each(|name| observer.gained(ScopeKey::Namespace(name)));
        self.users
            .iter()
            .for_each(|name| observer.gained(ScopeKey::User(name)));
        self.groups
            .iter()
            .for_each(|name| observer.gained(ScopeKey::Group(name)));
        self.observer = Some(observer);
        true
    }

    fn add_to_user(&mut self, user: &Arc<str>, conn: &Arc<ConnectionInner>) {
        if self.users.add(user, conn).0 == 1 {
            self.notify(|observer| observer.gained(ScopeKey::User(user)));
        }
    }

    /// Returns the name that the members share.
    fn add_to_group(&mut self, group: Arc<str>, conn: &Arc<ConnectionInner>) -> Arc<str> {
        let (count, shared) = self.groups.add(&group, conn);
        if count > 1 {
            return Arc::clone(shared);
        }
        self.notify(|observer| observer.gained(ScopeKey::Group(&group)));
        group
    }

    fn remove_from_group(&mut self, group: &str, conn: &Arc<ConnectionInner>) {
        let remember = self.remembers(conn);
        let (removed, left) = self.groups.remove(group, conn, remember);
        self.on_removed(removed);
        if removed != Removed::NotAMember && left == 0 {
            self.notify(|observer| observer.lost(ScopeKey::Group(group)));
        }
    }

    /// Reports the namespace, user and groups of a connection before it belongs to them.
    #[cfg(feature = "cluster")]
    pub(super) fn announce(&self, conn: &ConnectionInner) {
        for_each_scope(conn, |key| self.notify(|observer| observer.gained(key)));
    }

    /// Takes back what [`ShardIndex::announce`] has reported: the connection belongs to them now, or will
    /// never.
    #[cfg(feature = "cluster")]
    pub(super) fn retract(&self, conn: &ConnectionInner) {
        for_each_scope(conn, |key| self.notify(|observer| observer.lost(key)));
    }

    fn notify(&self, event: impl FnOnce(&dyn HubObserver)) {
        if let Some(observer) = &self.observer {
            event(&**observer);
        }
    }
}

/// The namespace of a connection, unless it is the default one.
fn namespace_of(conn: &ConnectionInner) -> Option<&str> {
    let namespace = conn.id.namespace();
    (namespace != DEFAULT_NAMESPACE).then_some(namespace)
}

#[cfg(feature = "cluster")]
fn for_each_scope(conn: &ConnectionInner, mut report: impl FnMut(ScopeKey<'_>)) {
    if let Some(namespace) = namespace_of(conn) {
        report(ScopeKey::Namespace(namespace));
    }
    if let Some(user) = conn.user() {
        report(ScopeKey::User(user));
    }
    for group in conn.groups.lock().names() {
        report(ScopeKey::Group(group));
    }
}
