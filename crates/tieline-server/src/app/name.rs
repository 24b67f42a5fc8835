//! The names of groups, users and connections, as clients and backends give them.
//!
//! Owns which ones there can be, so that a name that nothing can have is refused and not taken for one that nobody
//! has. Must not know what has the name.

use tieline::MAX_NAME;

/// Nothing can have this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidName {
    #[error("a name is empty")]
    Empty,
    #[error("a name has more than {MAX_NAME} bytes, or begins with a NUL")]
    TooLong,
}

/// Whether a group, a user or a connection can have this name.
pub(crate) fn check(name: &str) -> Result<(), InvalidName> {
    if name.trim().is_empty() {
        return Err(InvalidName::Empty);
    }
    if name.len() > MAX_NAME || name.starts_with('\0') {
        return Err(InvalidName::TooLong);
    }
    Ok(())
}
