//! Where a value comes from.
//!
//! Owns the environment as it was when it was read, and the names of sources in errors and in
//! `tieline config show`.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

/// The environment variables of the process, without those that are not UTF-8 or empty: an empty one is
/// what tools pass on for a variable that nobody set.
pub(crate) type Environment = BTreeMap<String, String>;

/// The environment of this process.
pub(crate) fn environment() -> Environment {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let set = std::env::vars_os().filter_map(text);
    set.filter(|(_, value)| !value.is_empty()).collect()
}

/// The source of a value, from the weakest to the strongest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    File { path: Arc<PathBuf>, line: usize },
    Environment(String),
    Flag(String),
}

impl Source {
    /// Whether both sources are of the same layer, so that neither is stronger.
    pub(super) fn same_layer(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}
