//! The names that an application gives: client ids, users and groups.
//!
//! A name is 1 to [`MAX_NAME`] bytes of UTF-8. Only the application knows what it means. Client ids
//! have a type, [`ClientId`]; for users and groups there is [`check`].
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

use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

/// The longest client id, user or group name: 1,024 bytes.
pub const MAX_NAME: usize = 1024;

/// The application's name for a connection, unique in the cluster. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// Takes a name of 1 to [`MAX_NAME`] bytes.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, NameError> {
        let name = name.into();
        check(&name)?;
        Ok(Self(name))
    }

    /// A new unique id: a UUID of version 7, so that ids sort by the time of their creation.
    pub fn random() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for ClientId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ClientId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ClientId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({:?})", &*self.0)
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
}

/// Checks the length of a user's or a group's name.
pub fn check(name: &str) -> Result<(), NameError> {
    match name.len() {
        0 => Err(NameError::Empty),
        n if n > MAX_NAME => Err(NameError::TooLong(n)),
        _ => Ok(()),
    }
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
    fn random_ids_differ() {
        assert_ne!(ClientId::random(), ClientId::random());
    }
}
