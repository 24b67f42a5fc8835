//! Who is in which scope, and who of them gets what was queued.

use std::sync::Arc;

use super::{Audience, Place, ShardIndex};
use crate::hub::{
    inner::ConnectionInner,
    members::{Members, Number, Receivers},
    scope::{Hashed, OwnedScope, Scope},
};

/// Scopes.
impl ShardIndex {
    /// The members of a scope now; `None` if there are none.
    pub(in crate::hub) fn members(
        &self,
        of: Hashed<Scope<'_>>,
    ) -> Option<&Members<ConnectionInner>> {
        match of.scope {
            Scope::Everyone => Some(&self.connections).filter(|members| members.len() > 0),
            Scope::Namespace(name) => {
                let found = self.namespaces.get(of.hash, name);
                found.map(|(_, members)| members)
            }
            Scope::User(name) => self.users.get(of.hash, name).map(|(_, members)| members),
            Scope::Group(name) => self.groups.get(of.hash, name).map(|(_, members)| members),
        }
    }

    fn members_mut(&mut self, of: Hashed<Scope<'_>>) -> Option<&mut Members<ConnectionInner>> {
        match of.scope {
            Scope::Everyone => Some(&mut self.connections),
            Scope::Namespace(name) => self.namespaces.get_mut(of.hash, name),
            Scope::User(name) => self.users.get_mut(of.hash, name),
            Scope::Group(name) => self.groups.get_mut(of.hash, name),
        }
    }

    /// Copies some members of a scope, as [`Members::copy_slice`] does.
    pub(in crate::hub) fn copy_slice(
        &self,
        scope: Hashed<Scope<'_>>,
        part: usize,
        conns: &mut Vec<Arc<ConnectionInner>>,
    ) -> Option<usize> {
        self.members(scope)?.copy_slice(part, conns)
    }

    /// Copies some connections of all namespaces, as [`Members::copy_slice`] does; returns with which place to
    /// go on.
    pub(in crate::hub) fn copy_connections(
        &self,
        at: Place,
        conns: &mut Vec<Arc<ConnectionInner>>,
    ) -> Option<Place> {
        match at {
            Place::Default(part) => {
                let next = self.connections.copy_slice(part, conns);
                let elsewhere = (self.elsewhere.len() > 0).then_some(Place::Elsewhere(0));
                next.map(Place::Default).or(elsewhere)
            }
            Place::Elsewhere(part) => {
                let next = self.elsewhere.copy_slice(part, conns);
                next.map(Place::Elsewhere)
            }
        }
    }

    /// Copies some users, as [`Members::copy_slice`] does.
    pub(in crate::hub) fn copy_users(
        &self,
        part: usize,
        users: &mut Vec<Arc<str>>,
    ) -> Option<usize> {
        self.users.copy_slice(part, users)
    }

    /// Copies some groups likewise.
    pub(in crate::hub) fn copy_groups(
        &self,
        part: usize,
        groups: &mut Vec<Arc<str>>,
    ) -> Option<usize> {
        self.groups.copy_slice(part, groups)
    }

    /// For whom a message to a scope is, if it is queued now; `excluded` are ids with their hashes. `None`
    /// if it is for nobody.
    pub(in crate::hub) fn audience<'a>(
        &self,
        Hashed { hash, scope }: Hashed<Scope<'_>>,
        excluded: impl Iterator<Item = (u64, &'a str)>,
    ) -> Option<Audience> {
        let (scope, members) = match scope {
            Scope::Everyone => (OwnedScope::Everyone, &self.connections),
            Scope::Namespace(name) => {
                let (name, members) = self.namespaces.get(hash, name)?;
                (OwnedScope::Namespace(Arc::clone(name)), members)
            }
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
            let conn = self.find_ref(hash, id)?;
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
    pub(in crate::hub) fn on_queued(&mut self, scope: Hashed<Scope<'_>>) {
        self.queued += 1;
        let number = self.queued;
        if let Some(members) = self.members_mut(scope) {
            members.on_queued(number);
        }
    }
}

/// Delivery of what was queued; see [`Members`].
impl ShardIndex {
    pub(in crate::hub) fn begin_walk(
        &mut self,
        scope: Hashed<Scope<'_>>,
        first: Number,
        last: Number,
    ) {
        if let Some(members) = self.members_mut(scope) {
            members.begin_walk(first, last);
        }
    }

    /// Adds the next slice of receivers; true if it was the last.
    pub(in crate::hub) fn next_slice(
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
    pub(in crate::hub) fn end_walk(
        &mut self,
        of: Hashed<Scope<'_>>,
        messages: usize,
    ) -> impl Sized + use<> {
        let members = self.members_mut(of);
        let rest = members.and_then(|members| members.end_walk(messages));
        match of.scope {
            Scope::Everyone => {}
            Scope::Namespace(name) => self.namespaces.remove_unused(of.hash, name),
            Scope::User(name) => self.users.remove_unused(of.hash, name),
            Scope::Group(name) => self.groups.remove_unused(of.hash, name),
        }
        rest
    }
}
