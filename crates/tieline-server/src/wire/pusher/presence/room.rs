//! What the subscribers of a presence channel at this node have been told of its members.
//!
//! A pure state machine: changes of the roster go in, what is to be told comes out. Must not know sockets or the
//! registry. Invariants: a subscriber that was told a snapshot is told each change after it, in order; nobody is told
//! of the user that it is itself.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::Serialize;
use serde_json::value::RawValue;
use tieline::{Change, ClientId, Transition, TransitionKind};

use super::member::{self, Member};

/// The members of a channel, and who of them is here.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// User → information, as it was told.
    told: BTreeMap<Arc<str>, Arc<str>>,
    /// The subscribers of this node, by user.
    here: HashMap<Arc<str>, Vec<ClientId>>,
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
    /// The information about a member that others know, if it has a connection here: what was told of one elsewhere
    /// may be about to go.
    pub(super) fn info_of(&self, user: &str) -> Option<&Arc<str>> {
        let known = self.told.get(user).filter(|info| !info.is_empty());
        known.filter(|_| self.here.contains_key(user))
    }

    /// Adds a subscriber. The data of the answer that it gets: all members, itself included.
    pub(super) fn subscribe(&mut self, id: ClientId, member: &Member) -> String {
        let subscribers = self.here.entry(Arc::clone(&member.id)).or_default();
        subscribers.push(id);
        self.snapshot(member)
    }

    /// Removes a subscriber.
    pub(super) fn unsubscribe(&mut self, id: &ClientId, user: &str) {
        if let Some(subscribers) = self.here.get_mut(user) {
            subscribers.retain(|one| one != id);
            if subscribers.is_empty() {
                self.here.remove(user);
            }
        }
    }

    /// What a change of the roster means for those who are here.
    pub(super) fn change(&mut self, change: Change) -> Vec<Telling> {
        match change {
            Change::Snapshot { members, .. } => {
                let members = members.iter();
                let now: BTreeMap<_, _> = members
                    .map(|one| (Arc::clone(&one.user), Arc::clone(&one.info)))
                    .collect();
                self.replace(&now)
            }
            Change::Transitions { transitions, .. } => {
                let transitions = transitions.iter();
                transitions.filter_map(|one| self.transition(one)).collect()
            }
            // Of a version of the library that knows more.
            _ => Vec::new(),
        }
    }

    /// Everything was read anew: only what differs is told.
    fn replace(&mut self, now: &BTreeMap<Arc<str>, Arc<str>>) -> Vec<Telling> {
        let told: Vec<_> = self.told.keys().cloned().collect();
        let gone = told.iter().filter(|user| !now.contains_key(*user));
        let mut tellings: Vec<_> = gone.filter_map(|user| self.remove(user)).collect();
        tellings.extend(now.iter().filter_map(|(user, info)| self.add(user, info)));
        tellings
    }

    fn transition(&mut self, transition: &Transition) -> Option<Telling> {
        let (user, info) = (&transition.member.user, &transition.member.info);
        match transition.kind {
            TransitionKind::Left => self.remove(user),
            TransitionKind::Joined => self.add(user, info),
            TransitionKind::Changed => {
                // That of its first connection that has said something, until the user is gone. There is no event that
                // would tell it.
                if let Some(told) = self.told.get_mut(user)
                    && told.is_empty()
                {
                    *told = Arc::clone(info);
                }
                None
            }
        }
    }

    fn add(&mut self, user: &Arc<str>, info: &Arc<str>) -> Option<Telling> {
        let known = self.told.insert(Arc::clone(user), Arc::clone(info));
        known.is_none().then(|| {
            let (id, info) = (Arc::clone(user), Arc::clone(info));
            self.telling(user, Told::Added(Member { id, info }))
        })
    }

    fn remove(&mut self, user: &Arc<str>) -> Option<Telling> {
        let known = self.told.remove(user);
        known.map(|_| self.telling(user, Told::Removed(Arc::clone(user))))
    }

    fn telling(&self, user: &str, what: Told) -> Telling {
        let except = self.here.get(user).cloned().unwrap_or_default();
        Telling { what, except }
    }

    /// All members as a subscriber reads them, the one that it is included: others may not know of it yet, and what was
    /// told of it elsewhere may be about to go.
    fn snapshot(&self, own: &Member) -> String {
        let told = self.told.iter();
        let told = told.map(|(user, info)| (&**user, member::json(info)));
        let mut hash: BTreeMap<&str, Option<&RawValue>> = told.collect();
        hash.insert(&own.id, own.json());
        let members = Members {
            ids: hash.keys().copied().collect(),
            count: hash.len(),
            hash,
        };
        let text = serde_json::to_string(&Snapshot { presence: members });
        text.expect("maps with text keys always serialize")
    }
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
