//! The names that an application gives: client ids, users, groups and namespaces.
//!
//! A name is 1 to [`MAX_NAME`] bytes of UTF-8 and does not begin with a NUL. Only the application knows what
//! it means. Client ids have a type, [`ClientId`]; for users and groups there is [`check`].
//!
//! Names of different namespaces never meet, because inside a node and in the registry each has a *key*: in
//! the default namespace, the name itself; in another, a NUL, the namespace, a NUL and the name. A key is the
//! key of one name only, since no name begins with a NUL and no namespace contains one.
//!
//! ```
//! use tieline_registry::id::{ClientId, MAX_NAME, NameError, check};
//!
//! let id = ClientId::new("ada")?;
//! assert_eq!(&*id, "ada");
//! assert_eq!(check(""), Err(NameError::Empty));
//! assert_eq!(check(&"x".repeat(MAX_NAME + 1)), Err(NameError::TooLong(MAX_NAME + 1)));
//! # Ok::<(), NameError>(())
//! ```

use std::{
    borrow::{Borrow, Cow},
    fmt,
    ops::Deref,
    sync::Arc,
};

/// The longest client id, user or group name: 1,024 bytes.
pub const MAX_NAME: usize = 1024;

/// The longest namespace: 255 bytes.
pub const MAX_NAMESPACE: usize = 255;

/// The namespace that everything is in unless another one is named.
pub const DEFAULT_NAMESPACE: &str = "";

/// What stands before and after the namespace in a key.
const MARK: char = '\0';

/// The application's name for a connection, unique in its namespace. Cheap to clone.
///
/// It dereferences to the name, which another namespace may have too; two ids are equal only if their
/// namespaces are. Maps are searched by the [key](Self::key).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// Takes a name of 1 to [`MAX_NAME`] bytes, in the default namespace.
    ///
    /// # Errors
    /// The name cannot be used.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, NameError> {
        let name = name.into();
        check(&name)?;
        Ok(Self(name))
    }

    /// The same name in another namespace.
    ///
    /// # Errors
    /// The namespace cannot be used: see [`check_namespace`].
    pub fn in_namespace(&self, namespace: &str) -> Result<Self, NameError> {
        check_namespace(namespace)?;
        Ok(match key(namespace, self.as_str()) {
            Cow::Borrowed(name) => Self(name.into()),
            Cow::Owned(key) => Self(key.into()),
        })
    }

    /// The id that has this key; the inverse of [`ClientId::key`].
    ///
    /// # Errors
    /// No id has it.
    pub fn from_key(key: impl Into<Arc<str>>) -> Result<Self, NameError> {
        let key = key.into();
        check_key(&key)?;
        Ok(Self(key))
    }

    /// A new unique id: a UUID of version 7, so that ids sort by the time of their creation.
    pub fn random() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    /// The name, without its namespace.
    #[inline]
    pub fn as_str(&self) -> &str {
        split(&self.0).1
    }

    /// The namespace; [`DEFAULT_NAMESPACE`] unless another one was named.
    #[inline]
    pub fn namespace(&self) -> &str {
        split(&self.0).0
    }

    /// The text that is this id's alone in all namespaces: in the default one, the name.
    #[inline]
    pub fn key(&self) -> &str {
        &self.0
    }
}

impl Deref for ClientId {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for ClientId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Borrows the [key](ClientId::key).
impl Borrow<str> for ClientId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match split(&self.0) {
            (DEFAULT_NAMESPACE, name) => write!(f, "ClientId({name:?})"),
            (namespace, name) => write!(f, "ClientId({name:?} in {namespace:?})"),
        }
    }
}

/// A name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    #[error("a name must not be empty")]
    Empty,
    /// The name is longer than [`MAX_NAME`].
    #[error("a name has {0} bytes; the limit is {MAX_NAME}")]
    TooLong(usize),
    /// The name begins with a NUL.
    #[error("a name must not begin with a NUL character")]
    Nul,
    /// The namespace is longer than [`MAX_NAMESPACE`], or contains a NUL.
    #[error("a namespace has at most {MAX_NAMESPACE} bytes and no NUL character")]
    Namespace,
}

/// Checks a user's or a group's name.
///
/// # Errors
/// The name cannot be used.
#[inline]
pub fn check(name: &str) -> Result<(), NameError> {
    match name.len() {
        0 => Err(NameError::Empty),
        n if n > MAX_NAME => Err(NameError::TooLong(n)),
        _ if name.starts_with(MARK) => Err(NameError::Nul),
        _ => Ok(()),
    }
}

/// Checks a namespace: at most [`MAX_NAMESPACE`] bytes and no NUL. The empty one is the default.
///
/// # Errors
/// The namespace cannot be used.
#[inline]
pub fn check_namespace(namespace: &str) -> Result<(), NameError> {
    if namespace.len() > MAX_NAMESPACE || namespace.contains(MARK) {
        return Err(NameError::Namespace);
    }
    Ok(())
}

/// Checks the key of a name.
///
/// # Errors
/// No name has it.
pub fn check_key(key: &str) -> Result<(), NameError> {
    let (namespace, name) = split(key);
    check(name)?;
    check_namespace(namespace)?;
    if key.starts_with(MARK) && namespace == DEFAULT_NAMESPACE {
        return Err(NameError::Nul);
    }
    Ok(())
}

/// The key of a valid name in a valid namespace.
#[inline]
pub fn key<'a>(namespace: &str, name: &'a str) -> Cow<'a, str> {
    if namespace == DEFAULT_NAMESPACE {
        return Cow::Borrowed(name);
    }
    Cow::Owned(key_in(namespace, name))
}

fn key_in(namespace: &str, name: &str) -> String {
    let mut key = String::with_capacity(namespace.len() + name.len() + 2);
    key.push(MARK);
    key.push_str(namespace);
    key.push(MARK);
    key.push_str(name);
    key
}

/// The namespace and the name of a key.
#[inline]
pub fn split(key: &str) -> (&str, &str) {
    if key.starts_with(MARK) {
        return split_marked(key);
    }
    (DEFAULT_NAMESPACE, key)
}

fn split_marked(key: &str) -> (&str, &str) {
    let in_namespace = key[MARK.len_utf8()..].split_once(MARK);
    in_namespace.unwrap_or((DEFAULT_NAMESPACE, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        assert_eq!(ClientId::new(""), Err(NameError::Empty));
        assert!(ClientId::new("x".repeat(MAX_NAME)).is_ok());
        assert_eq!(
            ClientId::new("x".repeat(MAX_NAME + 1)),
            Err(NameError::TooLong(MAX_NAME + 1))
        );
    }

    #[test]
    fn a_key_is_the_key_of_one_name_only() {
        let ada = ClientId::new("ada").unwrap();
        let in_chat = ada.in_namespace("chat").unwrap();
        assert_eq!((ada.key(), in_chat.key()), ("ada", "\0chat\0ada"));
        assert_eq!((in_chat.namespace(), in_chat.as_str()), ("chat", "ada"));
        assert_ne!(in_chat, ada);
        assert_eq!(in_chat.in_namespace("").unwrap(), ada);
        for id in [&ada, &in_chat] {
            assert_eq!(ClientId::from_key(id.key()).as_ref(), Ok(id));
        }
        let odd = ClientId::new("a\0b").unwrap().in_namespace("chat").unwrap();
        assert_eq!((odd.namespace(), odd.as_str()), ("chat", "a\0b"));
    }

    #[test]
    fn no_name_looks_like_a_key() {
        assert_eq!(ClientId::new("\0chat\0ada"), Err(NameError::Nul));
        assert_eq!(check("\0"), Err(NameError::Nul));
        for key in ["", "\0ada", "\0\0ada", "\0chat\0", "\0chat\0\0ada"] {
            assert!(ClientId::from_key(key).is_err(), "{key:?}");
        }
        for namespace in ["a\0b", &"x".repeat(MAX_NAMESPACE + 1)] {
            let id = ClientId::new("ada").unwrap().in_namespace(namespace);
            assert_eq!(id, Err(NameError::Namespace));
        }
    }

    #[test]
    fn random_ids_differ() {
        assert_ne!(ClientId::random(), ClientId::random());
    }
}
