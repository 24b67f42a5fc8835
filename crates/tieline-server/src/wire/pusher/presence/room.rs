//! What the subscribers of a presence channel at this node have been told of its members.
//!
//! A pure state machine: changes of the roster go in, what is to be told comes out. Must not know sockets or the
//! registry. Invariants: a subscriber that was told a snapshot is told each change after it, in order; nobody is told
//! of the user that it is itself.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
    sync::Arc,
};

use serde::Serialize;
use serde_json::value::RawValue;
use tieline::{Change, ClientId, Transition, TransitionKind};

use super::member::Member;

/// The members of a channel, and who of them is here. Lists in the order of users: most rooms are small, and who
/// subscribes is told all members anyway.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// As they were told.
    told: Vec<Member>,
    /// The subscribers of this node.
    here: Vec<Subscriber>,
    /// Whether the members were told once.
    is_read: bool,
}

#[derive(Debug)]
struct Subscriber {
    user: Arc<str>,
    id: ClientId,
}

/// What all subscribers of this node but some are to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) what: Told,
    /// Those who are this user.
    pub(super) except: Vec<ClientId>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Added(Member),
    Removed(Arc<str>),
}

impl Room {
    pub(super) fn is_read(&self) -> bool {
        self.is_read
    }

    /// Adds a subscriber. The data of the answer that it gets: all members, itself included.
    pub(super) fn subscribe(&mut self, id: ClientId, member: &Member) -> String {
        let user = Arc::clone(&member.id);
        let at = self.here.partition_point(|one| *one.user <= *user);
        insert(&mut self.here, at, Subscriber { user, id });
        self.snapshot(member)
    }

    /// Removes a subscriber.
    pub(super) fn unsubscribe(&mut self, id: &ClientId, user: &str) {
        let of_user = self.of(user);
        let at = self.here[of_user.clone()]
            .iter()
            .position(|one| one.id == *id);
        if let Some(at) = at {
            self.here.remove(of_user.start + at);
        }
    }

    /// What a change of the roster means for those who are here.
    pub(super) fn change(&mut self, change: &Change) -> Vec<Telling> {
        self.is_read = true;
        match change {
            Change::Snapshot { members, .. } => self.replace(members),
            Change::Transitions { transitions, .. } => {
                let transitions = transitions.iter();
                transitions.filter_map(|one| self.transition(one)).collect()
            }
            // Of a version of the library that knows more.
            _ => Vec::new(),
        }
    }

    /// Everything was read anew: only what differs is told.
    fn replace(&mut self, now: &[tieline::Member]) -> Vec<Telling> {
        let users: HashSet<&str> = now.iter().map(|one| &*one.user).collect();
        let told = self.told.iter().map(|one| Arc::clone(&one.id));
        let gone: Vec<_> = told.filter(|user| !users.contains(&**user)).collect();
        let gone = gone.iter().filter_map(|user| self.remove(user));
        let mut tellings: Vec<_> = gone.collect();
        tellings.extend(now.iter().filter_map(|one| self.add(one)));
        tellings
    }

    fn transition(&mut self, transition: &Transition) -> Option<Telling> {
        match transition.kind {
            TransitionKind::Left => self.remove(&transition.member.user),
            TransitionKind::Joined => self.add(&transition.member),
            TransitionKind::Changed => {
                self.learn(&transition.member);
                None
            }
        }
    }

    fn add(&mut self, member: &tieline::Member) -> Option<Telling> {
        let member = Member {
            id: Arc::clone(&member.user),
            info: Arc::clone(&member.info),
        };
        match self.place(&member.id) {
            Ok(at) => {
                self.told[at] = member;
                None
            }
            Err(at) => {
                insert(&mut self.told, at, member.clone());
                let user = Arc::clone(&member.id);
                Some(self.telling(&user, Told::Added(member)))
            }
        }
    }

    /// What is known of a member is what the registry says, so that it is the same on all nodes. There is no event that
    /// would tell it: who subscribes from now on reads it.
    fn learn(&mut self, member: &tieline::Member) {
        if let Ok(at) = self.place(&member.user) {
            self.told[at].info = Arc::clone(&member.info);
        }
    }

    fn remove(&mut self, user: &str) -> Option<Telling> {
        let at = self.place(user).ok()?;
        let Member { id, .. } = self.told.remove(at);
        Some(self.telling(user, Told::Removed(id)))
    }

    fn telling(&self, user: &str, what: Told) -> Telling {
        let subscribers = self.subscribers(user).iter();
        Telling {
            what,
            except: subscribers.map(|one| one.id.clone()).collect(),
        }
    }

    /// Where a member is, or is to be.
    fn place(&self, user: &str) -> Result<usize, usize> {
        self.told.binary_search_by(|one| (*one.id).cmp(user))
    }

    /// The connections of a user.
    fn subscribers(&self, user: &str) -> &[Subscriber] {
        &self.here[self.of(user)]
    }

    fn of(&self, user: &str) -> Range<usize> {
        let start = self.here.partition_point(|one| *one.user < *user);
        let count = self.here[start..].partition_point(|one| *one.user == *user);
        start..start + count
    }

    /// All members as a subscriber reads them, the one that it is included: others may not know of it yet, and what was
    /// told of it elsewhere may be about to go.
    fn snapshot(&self, own: &Member) -> String {
        let told = self.told.iter();
        let told = told.map(|one| (&*one.id, one.json()));
        let mut hash: BTreeMap<&str, Option<&RawValue>> = told.collect();
        // A connection that says nothing of its user leaves what others have said.
        let said = hash.entry(&own.id).or_default();
        *said = own.json().or(*said);
        let members = Members {
            ids: hash.keys().copied().collect(),
            count: hash.len(),
            hash,
        };
        let text = serde_json::to_string(&Snapshot { presence: members });
        text.expect("maps with text keys always serialize")
    }
}

/// Inserts into a list that keeps no more room than it needs soon.
fn insert<T>(list: &mut Vec<T>, at: usize, one: T) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 4).max(1));
    }
    list.insert(at, one);
}

/// The data of the answer to a subscription.
#[derive(Serialize)]
struct Snapshot<'a> {
    presence: Members<'a>,
}

#[derive(Serialize)]
struct Members<'a> {
    ids: Vec<&'a str>,
    /// With null for who has no information: without a key, some SDKs do not show the member.
    hash: BTreeMap<&'a str, Option<&'a RawValue>>,
    count: usize,
}

#[cfg(test)]
mod tests;
