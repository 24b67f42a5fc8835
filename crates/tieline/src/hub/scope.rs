//! The scopes of messages to many, by name.
//!
//! Owns the names, and the ids that a message leaves out. Must not know who belongs to a scope.

use std::sync::Arc;

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
