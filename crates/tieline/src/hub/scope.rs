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

/// The receivers of a message, by name: of users and groups, by the key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// Of the default namespace.
    Everyone,
    /// Everyone of another namespace.
    Namespace(&'a str),
    User(&'a str),
    Group(&'a str),
}

/// A scope that outlives the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OwnedScope {
    Everyone,
    Namespace(Arc<str>),
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
    pub(super) fn new(scope: Scope<'a>, hasher: &RandomState) -> Self {
        let hash = match scope {
            // It has no name, so any hash does.
            Scope::Everyone => 0,
            Scope::Namespace(name) | Scope::User(name) | Scope::Group(name) => {
                hasher.hash_one(name)
            }
        };
        Self { hash, scope }
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
            Scope::Namespace(name) => Self::Namespace(name.into()),
            Scope::User(name) => Self::User(name.into()),
            Scope::Group(name) => Self::Group(name.into()),
        }
    }
}

impl OwnedScope {
    pub(crate) fn scope(&self) -> Scope<'_> {
        match self {
            Self::Everyone => Scope::Everyone,
            Self::Namespace(name) => Scope::Namespace(name),
            Self::User(name) => Scope::User(name),
            Self::Group(name) => Scope::Group(name),
        }
    }
}
