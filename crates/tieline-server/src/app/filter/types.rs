//! The types of expressions, which are known when a filter is read: only `null` has none of its own.

use std::fmt;

/// The type of an expression; its value may be `null` all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    Bool,
    Int,
    Text,
    Groups,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "a condition",
            Self::Int => "a number",
            Self::Text => "text",
            Self::Groups => "the list of groups",
        })
    }
}
