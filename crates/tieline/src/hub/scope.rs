//! The scopes of messages to many, by name.
//!
//! Owns the names with their hashes, and the ids that a message leaves out. Must not know who belongs to a
//! scope.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

/// Client ids that a message to many leaves out.
pub(crate) type ExcludedIds = Arc<[Arc<str>]>;

/// The receivers of a message, by name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    Everyone,
    User(&'a str),
    Group(&'a str),
}

/// A scope that outlives the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OwnedScope {
    Everyone,
    User(Arc<str>),
    Group(Arc<str>),
}

/// A scope with the hash of its name by the hub's hasher. A message is hashed once, however many shards it
/// goes to, and however often their workers look the name up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hashed<S> {
    pub(super) hash: u64,
    pub(super) scope: S,
}

impl<'a> Hashed<Scope<'a>> {
    /// It has no name, so any hash does.
    pub(super) const EVERYONE: Self = Self {
        hash: 0,
        scope: Scope::Everyone,
    };

    pub(super) fn new(scope: Scope<'a>, hasher: &RandomState) -> Self {
        match scope {
            Scope::Everyone => Self::EVERYONE,
            Scope::User(name) | Scope::Group(name) => Self {
                hash: hasher.hash_one(name),
                scope,
            },
        }
    }
}

impl Hashed<OwnedScope> {
    pub(super) fn borrowed(&self) -> Hashed<Scope<'_>> {
        Hashed {
            hash: self.hash,
            scope: self.scope.scope(),
        }
    }
}

impl From<Scope<'_>> for OwnedScope {
    fn from(scope: Scope<'_>) -> Self {
        match scope {
            Scope::Everyone => Self::Everyone,
            Scope::User(name) => Self::User(name.into()),
            Scope::Group(name) => Self::Group(name.into()),
        }
    }
}

impl OwnedScope {
    pub(crate) fn scope(&self) -> Scope<'_> {
        match self {
            Self::Everyone => Scope::Everyone,
            Self::User(name) => Scope::User(name),
            Self::Group(name) => Scope::Group(name),
        }
    }
}
