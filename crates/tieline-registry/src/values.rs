//! The contract between nodes and the part of a registry that keeps short-lived values.
//!
//! Owns [`Values`], its bounds and the error of what is beyond them. Must not know groups, links or any store.

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{
    id::{NameError, check_key},
    reply::RegistryFuture,
};

/// The longest value: 64 KiB.
pub const MAX_VALUE: usize = 64 * 1024;

/// The shortest time that a value can be kept: 1 s.
pub const MIN_TTL: Duration = Duration::from_secs(1);

/// The longest time that a value can be kept: a day.
pub const MAX_TTL: Duration = Duration::from_hours(24);

/// Short-lived values: the part of a registry that keeps one for each name, the same for all nodes.
///
/// A value is kept under the [key](crate::ClientId::key) of a name. It has nothing to do with a client id, a user or
/// a group of that name, and belongs to no node: it stays when the node that put it leaves or dies. Use it for what
/// can be done without, such as the last message of a group: a registry that loses its data loses the values, and
/// nobody puts them again.
///
/// # What every registry guarantees
///
/// - A put replaces the value and its time as a whole. After it was acknowledged, a get from any node finds that
///   value, or one that was put later.
/// - A value is found until its time is over, and never after it.
/// - The data does not grow with the number of past values, nor with the number of times that one was put.
///
/// The crate `tieline-registry-conformance` tests these.
pub trait Values: fmt::Debug + Send + Sync + 'static {
    /// Keeps a value for this long, from now on, in place of an earlier one.
    ///
    /// The error is [`InvalidInput`](crate::RegistryErrorKind::InvalidInput) with a [`ValueError`] as its source if
    /// [`ValueError::check`] finds one, and nothing is changed.
    fn put<'a>(&'a self, key: &'a str, bytes: Bytes, ttl: Duration) -> RegistryFuture<'a, ()>;

    /// The value, if there is one.
    fn get<'a>(&'a self, key: &'a str) -> RegistryFuture<'a, Option<StoredValue>>;
}

/// A value that the registry keeps.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredValue {
    /// What was put, up to [`MAX_VALUE`] bytes.
    pub bytes: Bytes,
    /// How long it will be kept from now on, more than zero.
    pub ttl: Duration,
}

// By hand: what applications keep does not belong into logs.
impl fmt::Debug for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredValue")
            .field("len", &self.bytes.len())
            .field("ttl", &self.ttl)
            .finish()
    }
}

/// Why a value cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A value cannot have this name.
    #[error("the name of a value cannot be used")]
    Name(#[from] NameError),
    /// The value is longer than [`MAX_VALUE`].
    #[error("a value has {0} bytes; the limit is {MAX_VALUE}")]
    TooLong(usize),
    /// The time is below [`MIN_TTL`] or above [`MAX_TTL`].
    #[error("a value is kept for 1 s to a day, not {0:?}")]
    Ttl(Duration),
}

impl ValueError {
    /// Checks what is to be kept.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn check(key: &str, bytes: &[u8], ttl: Duration) -> Result<(), Self> {
        Self::check_key(key)?;
        if bytes.len() > MAX_VALUE {
            return Err(Self::TooLong(bytes.len()));
        }
        if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
            return Err(Self::Ttl(ttl));
        }
        Ok(())
    }

    /// Checks the key of a value's name.
    ///
    /// # Errors
    /// No value has it.
    pub fn check_key(key: &str) -> Result<(), Self> {
        Ok(check_key(key)?)
    }
}
