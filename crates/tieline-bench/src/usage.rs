//! The error of an invalid command line, which has its own exit code.

/// The command line is invalid. The message says what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub(crate) String);
