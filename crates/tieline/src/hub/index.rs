//! The index of a shard: which of its connections have which id, user and group.
//!
//! Owns the connections, and who is in which scope. Must not know how messages are delivered; it numbers
//! those that are queued, so that it can say later for whom they were. No call looks at more than a slice
//! of a scope, because each message needs the lock. Invariants: an id names one connection; a connection
//! that the index does not hold by its id is in no user's and no group's scope either; a message goes to
//! exactly those who belonged to its scope when it was queued.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

#[cfg(feature = "cluster")]
use super::claimants::Claimants;
use super::{
    inner::ConnectionInner,
    members::{Members, Number, Receivers, Removed},
    names::Names,
    observer::{HubObserver, ScopeKey},
    scope::{Hashed, OwnedScope, Scope},
    shard_map::ShardMaps,
};
use crate::config::Duplicate;

pub(super) struct ShardIndex {
    /// By the hash of the id, which the hub has computed already: it names the shard too.
    connections: Members<ConnectionInner>,
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

/// For whom a message is, in this shard.
pub(super) struct Audience {
    pub(super) scope: Hashed<OwnedScope>,
    pub(super) number: Number,
    /// How many connections that is, without those left out.
    pub(super) receivers: usize,
    /// The addresses of those left out.
    pub(super) excluded: Box<[usize]>,
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
        let hash = self.hasher.hash_one(&*conn.id);
        let older = self.find(hash, &conn.id);
        if let Some(older) = &older {
            if duplicate == Duplicate::Reject && !older.is_close_requested() {
                return Inserted::Taken;
            }
            // Its departure is reported when its task ends: until then the id is not free elsewhere.
            self.unlink(older);
        }
        let hasher = &self.hasher;
        self.connections
            .insert(hash, Arc::clone(conn), |conn| hasher.hash_one(&*conn.id));
        if let Some(user) = &conn.user {
            self.add_to_user(user, conn);
        }
        for group in conn.groups.lock().names() {
            self.add_to_group(group, conn);
        }
        self.notify(|observer| observer.entered(&conn.id));
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
        let remember = self.remembers(conn);
        let removed = self.connections.remove(hash, conn, remember);
        if removed == Removed::NotAMember {
            return false;
        }
        self.on_removed(removed);
        if let Some(user) = &conn.user {
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
        let most = self.max_departed.saturating_add(self.connections.len());
        self.departed < most && !conn.is_closing()
    }

    fn on_removed(&mut self, removed: Removed) {
        self.departed += usize::from(removed == Removed::Remembered);
    }

    pub(super) fn contains(&self, conn: &Arc<ConnectionInner>) -> bool {
        let hash = self.hasher.hash_one(&*conn.id);
        let is_same = |held: &ConnectionInner| std::ptr::eq(held, &raw const **conn);
        self.connections.find(hash, is_same).is_some()
    }

    /// The connection with an id; `hash` is the id's.
    pub(super) fn find(&self, hash: u64, id: &str) -> Option<Arc<ConnectionInner>> {
        let found = self.connections.find(hash, |held| *held.id == *id);
        found.map(Arc::clone)
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
    /// there is an observer. Takes time for each of them: a cluster starts before clients come.
    #[cfg(feature = "cluster")]
    pub(super) fn set_observer(&mut self, observer: Arc<dyn HubObserver>) -> bool {
        if self.observer.is_some() {
            return false;
        }
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
        if self.users.add(user, conn) == 1 {
            self.notify(|observer| observer.gained(ScopeKey::User(user)));
        }
    }

    fn add_to_group(&mut self, group: &Arc<str>, conn: &Arc<ConnectionInner>) {
        if self.groups.add(group, conn) == 1 {
            self.notify(|observer| observer.gained(ScopeKey::Group(group)));
        }
    }

    fn remove_from_group(&mut self, group: &str, conn: &Arc<ConnectionInner>) {
        let remember = self.remembers(conn);
        let (removed, left) = self.groups.remove(group, conn, remember);
        self.on_removed(removed);
        if removed != Removed::NotAMember && left == 0 {
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
}

/// Scopes.
impl ShardIndex {
    /// The members of a scope now; `None` if there are none.
    pub(super) fn members(&self, of: Hashed<Scope<'_>>) -> Option<&Members<ConnectionInner>> {
        match of.scope {
            Scope::Everyone => Some(&self.connections).filter(|members| members.len() > 0),
            Scope::User(name) => self.users.get(of.hash, name).map(|(_, members)| members),
            Scope::Group(name) => self.groups.get(of.hash, name).map(|(_, members)| members),
        }
    }

    fn members_mut(&mut self, of: Hashed<Scope<'_>>) -> Option<&mut Members<ConnectionInner>> {
        match of.scope {
            Scope::Everyone => Some(&mut self.connections),
            Scope::User(name) => self.users.get_mut(of.hash, name),
            Scope::Group(name) => self.groups.get_mut(of.hash, name),
        }
    }

    /// Copies some members of a scope, as [`Members::copy_slice`] does.
    pub(super) fn copy_slice(
        &self,
        scope: Hashed<Scope<'_>>,
        part: usize,
        conns: &mut Vec<Arc<ConnectionInner>>,
    ) -> Option<usize> {
        self.members(scope)?.copy_slice(part, conns)
    }

    /// Copies some users, as [`Members::copy_slice`] does.
    pub(super) fn copy_users(&self, part: usize, users: &mut Vec<Arc<str>>) -> Option<usize> {
        self.users.copy_slice(part, users)
    }

    /// Copies some groups likewise.
    pub(super) fn copy_groups(&self, part: usize, groups: &mut Vec<Arc<str>>) -> Option<usize> {
        self.groups.copy_slice(part, groups)
    }

    /// For whom a message to a scope is, if it is queued now; `excluded` are ids with their hashes. `None`
    /// if it is for nobody.
    pub(super) fn audience<'a>(
        &self,
        Hashed { hash, scope }: Hashed<Scope<'_>>,
        excluded: impl Iterator<Item = (u64, &'a str)>,
    ) -> Option<Audience> {
        let (scope, members) = match scope {
            Scope::Everyone => (OwnedScope::Everyone, &self.connections),
            Scope::User(name) => {
                let (name, members) = self.users.get(hash, name)?;
                (OwnedScope::User(Arc::clone(name)), members)
            }
            Scope::Group(name) => {
                let (name, members) = self.groups.get(hash, name)?;
                (OwnedScope::Group(Arc::clone(name)), members)
            }
        };
        let excluded = excluded.filter_map(|(hash, id)| {
            let conn = self.connections.find(hash, |conn| *conn.id == *id)?;
            conn.belongs_to(&scope).then(|| Arc::as_ptr(conn).addr())
        });
        let mut excluded: Vec<_> = excluded.collect();
        excluded.sort_unstable();
        excluded.dedup();
        let receivers = members.len() - excluded.len();
        (receivers > 0).then(|| Audience {
            scope: Hashed { hash, scope },
            number: self.queued + 1,
            receivers,
            excluded: excluded.into(),
        })
    }

    /// Notes that the message with the next number was queued.
    pub(super) fn on_queued(&mut self, scope: Hashed<Scope<'_>>) {
        self.queued += 1;
        let number = self.queued;
        if let Some(members) = self.members_mut(scope) {
            members.on_queued(number);
        }
    }
}

/// Delivery of what was queued; see [`Members`].
impl ShardIndex {
    pub(super) fn begin_walk(&mut self, scope: Hashed<Scope<'_>>, first: Number, last: Number) {
        if let Some(members) = self.members_mut(scope) {
            members.begin_walk(first, last);
        }
    }

    /// Adds the next slice of receivers; true if it was the last.
    pub(super) fn next_slice(
        &mut self,
        scope: Hashed<Scope<'_>>,
        receivers: &mut Receivers<ConnectionInner>,
    ) -> bool {
        let Some(members) = self.members_mut(scope) else {
            return true;
        };
        let slice = members.next_slice(receivers);
        self.departed -= slice.forgotten;
        slice.is_last
    }

    /// Ends a walk; what it returns is better dropped without the lock.
    pub(super) fn end_walk(
        &mut self,
        of: Hashed<Scope<'_>>,
        messages: usize,
    ) -> impl Sized + use<> {
        let members = self.members_mut(of);
        let rest = members.and_then(|members| members.end_walk(messages));
        match of.scope {
            Scope::Everyone => {}
            Scope::User(name) => self.users.remove_unused(of.hash, name),
            Scope::Group(name) => self.groups.remove_unused(of.hash, name),
        }
        rest
    }
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
