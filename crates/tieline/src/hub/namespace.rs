//! The namespace of a handle, and the keys of names in it.
//!
//! Owns the one way from a name that somebody gives to the key by which everything inside the hub, the cluster
//! and the registry finds it. Must not know who has a name. Invariant: a key that is made here is that of a name
//! in this namespace, or of nobody.

use std::{borrow::Cow, fmt, sync::Arc};

use tieline_registry::{ClientId, NameError, id};

use super::{
    scope::Scope,
    shared_name::{RecentNames, SharedName},
};

/// The key of a name that nobody can have: names are not empty.
const NOBODY: &str = "";

/// Where a handle of the hub or the cluster looks for names. The task of each connection holds one.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Namespace(Option<SharedName>);

impl Namespace {
    pub(crate) const DEFAULT: Self = Self(None);

    pub(crate) fn new(name: &str) -> Result<Self, NameError> {
        id::check_namespace(name)?;
        Ok(Self::of_checked(name))
    }

    /// The one that an id is in.
    pub(crate) fn of(id: &ClientId) -> Self {
        Self::of_checked(id.namespace())
    }

    fn of_checked(name: &str) -> Self {
        Self((!name.is_empty()).then(|| SharedName::new(name)))
    }

    /// The one that an id is in, shared with those who have used it before.
    pub(super) fn shared(id: &ClientId, names: &RecentNames) -> Self {
        let name = id.namespace();
        Self((!name.is_empty()).then(|| names.share(name)))
    }

    #[inline]
    pub(crate) fn name(&self) -> &str {
        self.0.as_deref().unwrap_or(id::DEFAULT_NAMESPACE)
    }

    /// The key of a name. One that begins with a NUL could be the key of a name elsewhere: it is nobody's.
    #[inline]
    pub(crate) fn key<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if name.starts_with('\0') {
            return Cow::Borrowed(NOBODY);
        }
        id::key(self.name(), name)
    }

    /// As [`key`](Self::key), for a name that is shared.
    pub(crate) fn shared_key(&self, name: &Arc<str>) -> Arc<str> {
        match self.key(name) {
            Cow::Borrowed(key) if key.len() == name.len() => Arc::clone(name),
            key => key.into(),
        }
    }

    /// The name of a key in this namespace; `None` if it is in another.
    pub(crate) fn name_of(&self, key: &Arc<str>) -> Option<Arc<str>> {
        let (namespace, _) = id::split(key);
        (namespace == self.name()).then(|| name(key))
    }

    /// All of its clients.
    pub(crate) fn everyone(&self) -> Scope<'_> {
        match &self.0 {
            None => Scope::Everyone,
            Some(name) => Scope::Namespace(name),
        }
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.name(), f)
    }
}

/// The name of a key, without a copy in the default namespace.
pub(crate) fn name(key: &Arc<str>) -> Arc<str> {
    match id::split(key) {
        (id::DEFAULT_NAMESPACE, _) => Arc::clone(key),
        (_, name) => name.into(),
    }
}

/// Checks the name of a key.
pub(crate) fn check(key: &str) -> Result<(), NameError> {
    id::check(id::split(key).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_a_key_is_nobodys() {
        for namespace in ["", "chat"].map(|name| Namespace::new(name).unwrap()) {
            for name in ["\0", "\0chat\0ada", "\0\0ada", ""] {
                assert!(
                    check(&namespace.key(name)).is_err(),
                    "{namespace:?} {name:?}"
                );
            }
        }
    }

    #[test]
    fn keys_are_names_of_their_namespace_only() {
        let chat = Namespace::new("chat").unwrap();
        let key: Arc<str> = chat.key("ada").into();
        assert_eq!(chat.name_of(&key).as_deref(), Some("ada"));
        assert_eq!(Namespace::DEFAULT.name_of(&key), None);
        assert_eq!(chat.name_of(&"ada".into()), None);
        assert_eq!(Namespace::new("a\0b"), Err(NameError::Namespace));
    }
}
