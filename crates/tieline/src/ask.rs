//! Requests to the node of a client: what is asked, and why no reply comes.
//!
//! Owns the future [`Ask`], the errors of both sides, and the bounds of a deadline. Must not know who answers,
//! nor how a request reaches it. Invariant: a request is handed to a callback at most once.

use std::{fmt, future::IntoFuture, pin::Pin, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

/// A boxed future.
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How long an ask waits for its reply, unless it says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time that an ask can wait: sums of times must not overflow.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_hours(1);
/// Bytes of a text that says why; the rest is cut.
const MAX_WHY: usize = 1024;

/// A request that is sent when it is awaited. It yields the reply, or an [`AskError`].
///
/// It waits 5 s, or as long as [`timeout`](Self::timeout) says. Two small allocations are its cost beside those
/// of the message.
///
/// ```
/// use std::time::Duration;
/// use tieline::{AskError, Config, Hub};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// let hub = Hub::new(Config::default())?;
/// let reply = hub.ask("alice", "battery?").timeout(Duration::from_secs(1)).await;
/// assert_eq!(reply, Err(AskError::Offline)); // nobody is connected yet
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is asked before it is awaited"]
pub struct Ask<T = Result<Bytes, AskError>> {
    timeout: Duration,
    send: Box<dyn FnOnce(Instant) -> BoxFuture<T> + Send>,
}

impl<T> Ask<T> {
    /// An ask that `send` sends, with the moment by which it must have an outcome.
    pub(crate) fn new<F>(send: impl FnOnce(Instant) -> F + Send + 'static) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        Self {
            timeout: DEFAULT_TIMEOUT,
            send: Box::new(|deadline| Box::pin(send(deadline))),
        }
    }

    /// How long to wait for the reply, an hour at most. The callback that answers has as long; then it is dropped at
    /// its next `await`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(MAX_TIMEOUT);
        self
    }
}

impl<T> IntoFuture for Ask<T> {
    type Output = T;
    type IntoFuture = BoxFuture<T>;

    fn into_future(self) -> BoxFuture<T> {
        (self.send)(Instant::now() + self.timeout)
    }
}

impl<T> fmt::Debug for Ask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Why an ask has no reply.
///
/// After [`TimedOut`](Self::TimedOut), [`Unknown`](Self::Unknown), [`Refused`](Self::Refused),
/// [`Failed`](Self::Failed) and [`TooLarge`](Self::TooLarge) a callback may have run: see
/// [`may_have_run`](Self::may_have_run).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No live connection has this id, or no node of the cluster this address.
    #[error("offline")]
    Offline,
    /// The client's node, or the registry, cannot be reached; nothing was asked.
    #[error("unreachable")]
    Unreachable,
    /// A queue on the way is full; nothing was asked.
    #[error("a queue on the way is full")]
    QueueFull,
    /// The node answers as many requests as it may ([`Config::max_requests`](crate::Config::max_requests));
    /// nothing was asked.
    #[error("the node answers as many requests as it may")]
    Busy,
    /// The request, or its reply, is larger than what a link between the nodes takes
    /// (`ClusterConfig::link_queue_bytes`).
    #[error("the request or its reply is too large for the link between the nodes")]
    TooLarge,
    /// Nobody there answers requests: the handler has no such callback, or the node runs an older version or
    /// go-websocket.
    #[error("the node answers no requests")]
    Unsupported,
    /// The handler refused, and says why.
    #[error("refused: {0}")]
    Refused(String),
    /// The handler failed or panicked, and says why.
    #[error("failed: {0}")]
    Failed(String),
    /// No reply came in time. A callback may have run.
    #[error("no reply came in time")]
    TimedOut,
    /// The request was sent, and the link to the node broke before the reply came. A callback may have run.
    #[error("the link broke before the reply came")]
    Unknown,
}

impl AskError {
    /// Whether a callback may have run. If not, asking again asks for the first time.
    pub fn may_have_run(&self) -> bool {
        match self {
            // A callback may say itself that it answers no such requests.
            Self::Unsupported
            | Self::Refused(_)
            | Self::Failed(_)
            | Self::TimedOut
            | Self::Unknown
            | Self::TooLarge => true,
            Self::Offline | Self::Unreachable | Self::QueueFull | Self::Busy => false,
        }
    }
}

/// Why a callback has no reply: what it returns in place of one.
///
/// Any error turns into one by `?`, as a failure. The text goes to whoever asks, 1,024 bytes of it at most; it is
/// not logged.
///
/// ```
/// use tieline::RequestError;
///
/// fn level(request: &[u8]) -> Result<u8, RequestError> {
///     let text = std::str::from_utf8(request)?;
///     let level = text.parse()?;
///     if level > 100 {
///         return Err(RequestError::refused("100 at most"));
///     }
///     Ok(level)
/// }
/// assert_eq!(level(b"40"), Ok(40));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestError(AskError);

impl RequestError {
    /// The handler does not do that: the asker gets [`AskError::Refused`].
    pub fn refused(why: impl Into<String>) -> Self {
        Self(AskError::Refused(cut(why.into())))
    }

    /// The handler cannot do that: the asker gets [`AskError::Failed`].
    pub fn failed(why: impl Into<String>) -> Self {
        Self(AskError::Failed(cut(why.into())))
    }

    /// The handler answers no such requests: the asker gets [`AskError::Unsupported`], as by default.
    pub fn unsupported() -> Self {
        Self(AskError::Unsupported)
    }
}

impl<E: std::error::Error> From<E> for RequestError {
    fn from(error: E) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<RequestError> for AskError {
    fn from(RequestError(error): RequestError) -> Self {
        error
    }
}

fn cut(mut why: String) -> String {
    why.truncate(why.floor_char_boundary(MAX_WHY));
    why
}

/// The outcome of an ask, at its deadline at the latest.
pub(crate) async fn timed_out_at<T>(
    deadline: Instant,
    answer: impl Future<Output = Result<T, AskError>>,
) -> Result<T, AskError> {
    let answer = timeout_at(deadline, answer).await;
    answer.unwrap_or(Err(AskError::TimedOut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let why = format!("a{}", "é".repeat(MAX_WHY));
        let AskError::Refused(why) = RequestError::refused(why).into() else {
            panic!("it is a refusal");
        };
        assert_eq!(why.len(), MAX_WHY - 1);
    }
}
