//! Why a filter cannot be read.

use super::types::Type;

/// Longest filter, in bytes.
pub(super) const MAX_LENGTH: usize = 16 * 1024;

/// Most comparisons, `in` and functions that are true or false.
pub(super) const MAX_CLAUSES: usize = 100;

/// Most parentheses, functions and `not` within each other.
pub(super) const MAX_DEPTH: usize = 64;

/// A filter cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid filter, at character {position}: {what}")]
pub(crate) struct FilterError {
    /// From 1.
    pub(super) position: usize,
    pub(super) what: Mistake,
}

/// What is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Mistake {
    #[error("the filter is longer than {MAX_LENGTH} bytes")]
    TooLong,
    #[error("the filter has more than {MAX_CLAUSES} clauses")]
    TooManyClauses,
    #[error("the filter is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    #[error("expected {0}")]
    Expected(&'static str),
    #[error("the text has no closing quote")]
    OpenText,
    #[error("the number is out of range")]
    Number,
    #[error("unknown property; use userId, connectionId, groups or protocol")]
    UnknownProperty,
    #[error(
        "unknown function; use tolower, toupper, trim, substring, concat, startswith, endswith, contains, \
         indexof or length"
    )]
    UnknownFunction,
    #[error("the function takes another number of arguments")]
    ArgumentCount,
    #[error("expected {expected}, and this is {found}")]
    Type { expected: &'static str, found: Type },
    #[error("{0} and {1} cannot be compared")]
    Compare(Type, Type),
}
