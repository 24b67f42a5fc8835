//! What a registry could not do.

use std::{error::Error, fmt, time::Duration};

/// A registry did not answer, or answered with an error.
///
/// What was asked may have been carried out all the same, unless [`RegistryError::is_refusal`].
#[derive(Debug)]
pub struct RegistryError {
    what: String,
    refusal: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl RegistryError {
    /// An operation whose outcome is unknown: what was tried, and why it failed.
    pub fn new(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            what: what.into(),
            refusal: false,
            source: Some(source.into()),
        }
    }

    /// A registry that cannot be used as it is configured: a wrong password, a missing permission, an
    /// address that cannot be read. Trying again does not help.
    pub fn refused(
        what: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            refusal: true,
            ..Self::new(what, source)
        }
    }

    /// No answer came within the deadline.
    pub fn timeout(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            refusal: false,
            source: None,
        }
    }

    /// An answer within a deadline, or the error that none came.
    pub async fn with_timeout<T>(
        deadline: Duration,
        what: &str,
        answer: impl Future<Output = Result<T, Self>>,
    ) -> Result<T, Self> {
        tokio::time::timeout(deadline, answer)
            .await
            .unwrap_or_else(|_| Err(Self::timeout(what)))
    }

    /// Whether the configuration has to change before it can work.
    pub fn is_refusal(&self) -> bool {
        self.refusal
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(_) => write!(f, "the registry could not {}", self.what),
            None => write!(f, "the registry did not {} in time", self.what),
        }
    }
}

impl Error for RegistryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
