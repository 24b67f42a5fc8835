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
    member::Member,
    watch::{self, Watch},
};
use crate::Duplicate;

/// The receivers of a message, as they were when it was sent.
pub(super) type Audience = Arc<[Arc<Member>]>;

/// Whom a message is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    Everyone,
    User(&'a str),
    Group(&'a str),
}

// The maps keep std's SipHash: strangers choose ids and group names.
pub(super) struct Shard {
    /// By the hash of the id, which the hub has at hand: it names the shard too.
    ids: HashTable<Arc<Member>>,
    hasher: RandomState,
    users: HashMap<Arc<str>, Crowd>,
    groups: HashMap<Arc<str>, Crowd>,
    /// Everyone's snapshot, until someone comes or goes.
    everyone: Option<Audience>,
    watch: Option<Arc<dyn Watch>>,
}

/// Some members, and their snapshot until someone comes or goes. Taking it anew costs about 10 ns a
/// member, sending to a member about 3 µs, so even under churn it is not what costs.
#[derive(Default)]
struct Crowd {
    members: HashSet<ByAddress, foldhash::fast::FixedState>,
    snapshot: Option<Audience>,
}

/// A member as itself.
struct ByAddress(Arc<Member>);

/// What became of an insertion.
pub(super) enum Inserted {
    /// The id was free.
    Fresh,
    /// The id was taken; the older member is out of the index and is to be closed.
    Replaced(Arc<Member>),
    /// The id is taken and the newer is refused.
    Taken,
}

impl Shard {
    /// An empty shard that hashes ids as the hub does.
    pub(super) fn new(hasher: RandomState) -> Self {
        Self {
            ids: HashTable::new(),
            hasher,
            users: HashMap::new(),
            groups: HashMap::new(),
            everyone: None,
            watch: None,
        }
    }

    pub(super) fn insert(&mut self, member: &Arc<Member>, duplicate: Duplicate) -> Inserted {
        let hash = self.hasher.hash_one(&*member.id);
        let older = self.find(hash, &member.id);
        if let Some(older) = &older {
            if duplicate == Duplicate::Reject && !older.is_leaving() {
                return Inserted::Taken;
            }
            // Its end is told when its task ends: until then the id is not free for others.
            self.take_out(older);
        }
        self.everyone = None;
        let hasher = &self.hasher;
        self.ids.insert_unique(hash, Arc::clone(member), |member| {
            hasher.hash_one(&*member.id)
        });
        if let Some(user) = &member.user {
            self.enter_user(user, member);
        }
        for group in member.groups.lock().names() {
            self.enter_group(group, member);
        }
        older.map_or(Inserted::Fresh, Inserted::Replaced)
    }

    /// Takes a member out of the index; false if it is not there, or another has its id by now.
    pub(super) fn remove(&mut self, member: &Arc<Member>) -> bool {
        let held = self.take_out(member);
        if held {
            self.tell_left(member);
        }
        held
    }

    /// Tells that a member is gone.
    pub(super) fn tell_left(&self, member: &Arc<Member>) {
        self.tell(|watch| watch.left(member));
    }

    fn take_out(&mut self, member: &Arc<Member>) -> bool {
        let hash = self.hasher.hash_one(&*member.id);
        let is_it = |held: &Arc<Member>| Arc::ptr_eq(held, member);
        let Ok(entry) = self.ids.find_entry(hash, is_it) else {
            return false;
        };
        entry.remove();
        self.everyone = None;
        if let Some(user) = &member.user
            && leave(&mut self.users, user, member)
        {
            self.tell(|watch| watch.lost(watch::Crowd::User(user)));
        }
        for group in member.groups.lock().names() {
            self.leave_group(group, member);
        }
        true
    }

    pub(super) fn holds(&self, member: &Arc<Member>) -> bool {
        let hash = self.hasher.hash_one(&*member.id);
        let is_it = |held: &Arc<Member>| Arc::ptr_eq(held, member);
        self.ids.find(hash, is_it).is_some()
    }

    /// The member with an id; `hash` is the id's.
    pub(super) fn find(&self, hash: u64, id: &str) -> Option<Arc<Member>> {
        self.ids.find(hash, |held| *held.id == *id).map(Arc::clone)
    }

    /// Joins a member that the index holds to a group; false if it is in the group already.
    pub(super) fn join(&mut self, member: &Arc<Member>, group: Arc<str>) -> bool {
        let mut groups = member.groups.lock();
        let fresh = !groups.contains(&group);
        if fresh {
            self.enter_group(&group, member);
            groups.insert(group);
        }
        fresh
    }

    /// Takes a member out of a group; false if it is not in it.
    pub(super) fn leave(&mut self, member: &Arc<Member>, group: &str) -> bool {
        if !member.groups.lock().remove(group) {
            return false;
        }
        self.leave_group(group, member);
        true
    }

    /// Tells someone from here on, and of the crowds that are here already; false if someone is told.
    #[cfg(feature = "cluster")]
    pub(super) fn watch(&mut self, watch: Arc<dyn Watch>) -> bool {
        if self.watch.is_some() {
            return false;
        }
        self.users
            .keys()
            .for_each(|name| watch.gained(watch::Crowd::User(name)));
        self.groups
            .keys()
            .for_each(|name| watch.gained(watch::Crowd::Group(name)));
        self.watch = Some(watch);
        true
    }

    fn enter_user(&mut self, user: &Arc<str>, member: &Arc<Member>) {
        if enter(&mut self.users, user, member) {
            self.tell(|watch| watch.gained(watch::Crowd::User(user)));
        }
    }

    fn enter_group(&mut self, group: &Arc<str>, member: &Arc<Member>) {
        if enter(&mut self.groups, group, member) {
            self.tell(|watch| watch.gained(watch::Crowd::Group(group)));
        }
    }

    fn leave_group(&mut self, group: &str, member: &Arc<Member>) {
        if leave(&mut self.groups, group, member) {
            self.tell(|watch| watch.lost(watch::Crowd::Group(group)));
        }
    }

    fn tell(&self, what: impl FnOnce(&dyn Watch)) {
        if let Some(watch) = &self.watch {
            what(&**watch);
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
            Scope::User(name) => self.users.get_mut(name).map(Crowd::audience),
            Scope::Group(name) => self.groups.get_mut(name).map(Crowd::audience),
        }
    }
}

impl Crowd {
    fn audience(&mut self) -> Audience {
        let members = &self.members;
        let snapshot = || members.iter().map(|entry| Arc::clone(&entry.0)).collect();
        Arc::clone(self.snapshot.get_or_insert_with(snapshot))
    }
}

/// Puts a member into a crowd; true if it is the first.
fn enter(crowds: &mut HashMap<Arc<str>, Crowd>, name: &Arc<str>, member: &Arc<Member>) -> bool {
    let crowd = crowds.entry(Arc::clone(name)).or_default();
    crowd.snapshot = None;
    crowd.members.insert(ByAddress(Arc::clone(member))) && crowd.members.len() == 1
}

/// Takes a member out of a crowd; true if it was the last. A crowd goes with its last member, so that
/// names cost nothing once nobody uses them.
fn leave(crowds: &mut HashMap<Arc<str>, Crowd>, name: &str, member: &Arc<Member>) -> bool {
    let Some(crowd) = crowds.get_mut(name) else {
        return false;
    };
    crowd.members.remove(&ByAddress(Arc::clone(member)));
    crowd.snapshot = None;
    crowd.members.is_empty() && crowds.remove(name).is_some()
}

impl Hash for ByAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).addr().hash(state);
    }
}

impl PartialEq for ByAddress {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ByAddress {}
