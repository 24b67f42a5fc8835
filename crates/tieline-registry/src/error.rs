//! The error of every registry.
//!
//! Owns the kinds of errors, by which callers decide whether to retry, the timeout of an operation, and what may be
//! wrong before any. Must not know the clients of Redis and etcd: their errors are boxed sources.

use std::{error::Error, fmt, time::Duration};

/// A registry did not do what it was asked for.
///
/// [`kind`](Self::kind) says what went wrong; the message says which operation failed; the
/// [source](Error::source), if there is one, says why. After an error of a
/// [permanent](Self::is_permanent) kind, nothing was carried out. After any other, the operation may
/// have been carried out, or may still be: repeat it, or look.
///
/// ```
/// use tieline_registry::{RegistryErrorKind, connect};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error = connect("localhost:6379", "ws").await.unwrap_err();
/// assert_eq!(error.kind(), RegistryErrorKind::Misconfigured);
/// assert!(error.is_permanent(), "no retry helps");
/// # }
/// ```
#[derive(Debug)]
pub struct RegistryError {
    kind: RegistryErrorKind,
    operation: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What went wrong with a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegistryErrorKind {
    /// The registry cannot be reached, or failed. It may work again later.
    Unavailable,
    /// No reply came within the timeout.
    Timeout,
    /// The registry rejects this user, or the user lacks a permission. A person has to act.
    Denied,
    /// The URL, an option, a certificate or the deployment is wrong. A person has to act.
    Misconfigured,
    /// No registry accepts this argument: an id that is not a valid name, or the cursor of another walk.
    InvalidInput,
    /// A reply made no sense, for example because another program uses the same keys.
    UnexpectedReply,
    /// Other nodes changed the same id again and again; the registry gave up.
    Contention,
}

/// What is wrong with the configuration of a registry, as [`problems`](crate::problems) finds it. The text says why, and
/// contains no part of the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryConfigError {
    /// The URL.
    #[error("invalid URL of a registry: {0}")]
    Url(String),
    /// The name of the cluster.
    #[error("invalid prefix: {0}")]
    Prefix(String),
    /// A certificate, its key, or an authority; or the scheme of the URL requires one, or permits none.
    #[error("invalid certificates for a registry: {0}")]
    Tls(String),
}

impl RegistryError {
    /// An error of the kind [`Unavailable`](RegistryErrorKind::Unavailable). `operation` completes the
    /// sentence "the registry could not …", as in `claim ids`.
    pub fn new(
        operation: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::of_kind(RegistryErrorKind::Unavailable, operation, source)
    }

    /// An error of any kind.
    pub fn of_kind(
        kind: RegistryErrorKind,
        operation: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            operation: operation.into(),
            source: Some(source.into()),
        }
    }

    /// An error of the kind [`Timeout`](RegistryErrorKind::Timeout), which has no source.
    pub fn timeout(operation: impl Into<String>) -> Self {
        Self {
            kind: RegistryErrorKind::Timeout,
            operation: operation.into(),
            source: None,
        }
    }

    /// Awaits a reply for at most `timeout`; then the future is dropped, and the result is an error of
    /// the kind [`Timeout`](RegistryErrorKind::Timeout).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tieline_registry::{RegistryError, RegistryErrorKind};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let never = std::future::pending::<Result<(), RegistryError>>();
    /// let result = RegistryError::with_timeout(Duration::from_millis(10), "claim ids", never).await;
    /// let error = result.unwrap_err();
    /// assert_eq!(error.kind(), RegistryErrorKind::Timeout);
    /// assert_eq!(error.to_string(), "the registry could not claim ids in time");
    /// # }
    /// ```
    pub async fn with_timeout<T>(
        timeout: Duration,
        operation: &str,
        reply: impl Future<Output = Result<T, Self>>,
    ) -> Result<T, Self> {
        tokio::time::timeout(timeout, reply)
            .await
            .unwrap_or_else(|_| Err(Self::timeout(operation)))
    }

    /// What went wrong.
    pub fn kind(&self) -> RegistryErrorKind {
        self.kind
    }

    /// Whether a retry cannot help: the kind is [`Denied`](RegistryErrorKind::Denied),
    /// [`Misconfigured`](RegistryErrorKind::Misconfigured) or
    /// [`InvalidInput`](RegistryErrorKind::InvalidInput).
    pub fn is_permanent(&self) -> bool {
        use RegistryErrorKind::{Denied, InvalidInput, Misconfigured};
        matches!(self.kind, Denied | Misconfigured | InvalidInput)
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the registry could not {}", self.operation)?;
        match self.kind {
            RegistryErrorKind::Timeout => f.write_str(" in time"),
            _ => Ok(()),
        }
    }
}

impl Error for RegistryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
