//! A part of the hub: which of its connections have which id, user and group.
//!
//! Owns the index and the snapshots of audiences. Knows nothing of delivery. Invariants: an id names
//! one member; a member that is not in the index by its id is in no user's and no group's audience
//! either; an audience is exactly who belonged at the call that took it.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::Arc,
};

use hashbrown::HashTable;

use super::{
    inner::ConnectionInner,
    observer::{self, HubObserver},
};
use crate::Duplicate;

/// The receivers of a message, as they were when it was sent.
pub(super) type Audience = Arc<[Arc<ConnectionInner>]>;

/// Whom a message is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    Everyone,
    User(&'a str),
    Group(&'a str),
}

// The maps keep std's SipHash: strangers choose ids and group names.
pub(super) struct ShardIndex {
    /// By the hash of the id, which the hub has at hand: it names the shard too.
    ids: HashTable<Arc<ConnectionInner>>,
    hasher: RandomState,
    users: HashMap<Arc<str>, MemberSet>,
    groups: HashMap<Arc<str>, MemberSet>,
    /// Everyone's snapshot, until someone comes or goes.
    everyone: Option<Audience>,
    observer: Option<Arc<dyn HubObserver>>,
}

/// Some members, and their snapshot until someone comes or goes. Taking it anew costs about 10 ns a
/// member, sending to a member about 3 µs, so even under churn it is not what costs.
#[derive(Default)]
struct MemberSet {
    members: HashSet<ByPtr, foldhash::fast::FixedState>,
    snapshot: Option<Audience>,
}

/// A member as itself.
struct ByPtr(Arc<ConnectionInner>);

/// What became of an insertion.
pub(super) enum Inserted {
    /// The id was free.
    Fresh,
    /// The id was taken; the older member is out of the index and is to be closed.
    Replaced(Arc<ConnectionInner>),
    /// The id is taken and the newer is refused.
    Taken,
}

impl ShardIndex {
    /// An empty shard that hashes ids as the hub does.
    pub(super) fn new(hasher: RandomState) -> Self {
        Self {
            ids: HashTable::new(),
            hasher,
            users: HashMap::new(),
            groups: HashMap::new(),
            everyone: None,
            observer: None,
        }
    }

    pub(super) fn insert(&mut self, conn: &Arc<ConnectionInner>, duplicate: Duplicate) -> Inserted {
        let hash = self.hasher.hash_one(&*conn.id);
        let older = self.find(hash, &conn.id);
        if let Some(older) = &older {
            if duplicate == Duplicate::Reject && !older.is_close_requested() {
                return Inserted::Taken;
            }
            // Its end is told when its task ends: until then the id is not free for others.
            self.take_out(older);
        }
        self.everyone = None;
        let hasher = &self.hasher;
        self.ids
            .insert_unique(hash, Arc::clone(conn), |conn| hasher.hash_one(&*conn.id));
        if let Some(user) = &conn.user {
            self.enter_user(user, conn);
        }
        for group in conn.groups.lock().names() {
            self.enter_group(group, conn);
        }
        older.map_or(Inserted::Fresh, Inserted::Replaced)
    }

    /// Takes a member out of the index; false if it is not there, or another has its id by now.
    pub(super) fn remove(&mut self, conn: &Arc<ConnectionInner>) -> bool {
        let held = self.take_out(conn);
        if held {
            self.tell_left(conn);
        }
        held
    }

    /// Tells that a member is gone.
    pub(super) fn tell_left(&self, conn: &Arc<ConnectionInner>) {
        self.tell(|observer| observer.left(conn));
    }

    fn take_out(&mut self, conn: &Arc<ConnectionInner>) -> bool {
        let hash = self.hasher.hash_one(&*conn.id);
        let is_it = |held: &Arc<ConnectionInner>| Arc::ptr_eq(held, conn);
        let Ok(entry) = self.ids.find_entry(hash, is_it) else {
            return false;
        };
        entry.remove();
        self.everyone = None;
        if let Some(user) = &conn.user
            && leave(&mut self.users, user, conn)
        {
            self.tell(|observer| observer.lost(observer::ScopeKey::User(user)));
        }
        for group in conn.groups.lock().names() {
            self.leave_group(group, conn);
        }
        true
    }

    pub(super) fn holds(&self, conn: &Arc<ConnectionInner>) -> bool {
        let hash = self.hasher.hash_one(&*conn.id);
        let is_it = |held: &Arc<ConnectionInner>| Arc::ptr_eq(held, conn);
        self.ids.find(hash, is_it).is_some()
    }

    /// The member with an id; `hash` is the id's.
    pub(super) fn find(&self, hash: u64, id: &str) -> Option<Arc<ConnectionInner>> {
        self.ids.find(hash, |held| *held.id == *id).map(Arc::clone)
    }

    /// Joins a member that the index holds to a group; false if it is in the group already.
    pub(super) fn join(&mut self, conn: &Arc<ConnectionInner>, group: Arc<str>) -> bool {
        let mut groups = conn.groups.lock();
        let fresh = !groups.contains(&group);
        if fresh {
            self.enter_group(&group, conn);
            groups.insert(group);
        }
        fresh
    }

    /// Takes a member out of a group; false if it is not in it.
    pub(super) fn leave(&mut self, conn: &Arc<ConnectionInner>, group: &str) -> bool {
        if !conn.groups.lock().remove(group) {
            return false;
        }
        self.leave_group(group, conn);
        true
    }

    /// Tells someone from here on, and of the crowds that are here already; false if someone is told.
    #[cfg(feature = "cluster")]
    pub(super) fn watch(&mut self, observer: Arc<dyn HubObserver>) -> bool {
        if self.observer.is_some() {
            return false;
        }
        self.users
            .keys()
            .for_each(|name| observer.gained(observer::ScopeKey::User(name)));
        self.groups
            .keys()
            .for_each(|name| observer.gained(observer::ScopeKey::Group(name)));
        self.observer = Some(observer);
        true
    }

    fn enter_user(&mut self, user: &Arc<str>, conn: &Arc<ConnectionInner>) {
        if enter(&mut self.users, user, conn) {
            self.tell(|observer| observer.gained(observer::ScopeKey::User(user)));
        }
    }

    fn enter_group(&mut self, group: &Arc<str>, conn: &Arc<ConnectionInner>) {
        if enter(&mut self.groups, group, conn) {
            self.tell(|observer| observer.gained(observer::ScopeKey::Group(group)));
        }
    }

    fn leave_group(&mut self, group: &str, conn: &Arc<ConnectionInner>) {
        if leave(&mut self.groups, group, conn) {
            self.tell(|observer| observer.lost(observer::ScopeKey::Group(group)));
        }
    }

    fn tell(&self, what: impl FnOnce(&dyn HubObserver)) {
        if let Some(observer) = &self.observer {
            what(&**observer);
        }
    }

    pub(super) fn users(&self) -> Vec<Arc<str>> {
        self.users.keys().map(Arc::clone).collect()
    }

    /// Who is in a scope now; `None` where nobody is.
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

/// Puts a member into a crowd; true if it is the first.
fn enter(
    sets: &mut HashMap<Arc<str>, MemberSet>,
    name: &Arc<str>,
    conn: &Arc<ConnectionInner>,
) -> bool {
    let set = sets.entry(Arc::clone(name)).or_default();
    set.snapshot = None;
    set.members.insert(ByPtr(Arc::clone(conn))) && set.members.len() == 1
}

/// Takes a member out of a crowd; true if it was the last. A crowd goes with its last member, so that
/// names cost nothing once nobody uses them.
fn leave(sets: &mut HashMap<Arc<str>, MemberSet>, name: &str, conn: &Arc<ConnectionInner>) -> bool {
    let Some(set) = sets.get_mut(name) else {
        return false;
    };
    set.members.remove(&ByPtr(Arc::clone(conn)));
    set.snapshot = None;
    set.members.is_empty() && sets.remove(name).is_some()
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
