//! Handshakes that have failed: connections that ended before the listener had a complete request.
//!
//! Owns the reasons, their counts, and who is told. Must not know how a failure is noticed. Invariants: a handshake
//! that succeeds costs nothing here; what is kept does not grow with what clients do; a callback that panics harms
//! nobody.

use std::{
    borrow::Cow,
    fmt,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::peer::Peer;

/// Why the handshake of a connection has failed. A request that the listener has got and that is answered with a
/// [`Refusal`](crate::Refusal), or in another way, is no failure of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeFailure {
    /// The TLS handshake failed: the client speaks no TLS, or a version that the listener does not, does not trust the
    /// certificate of the listener, or has shown no certificate that the listener trusts.
    Tls,
    /// A [proxy](crate::Proxies) that is to announce its client has sent no valid header of the PROXY protocol.
    ProxyHeader,
    /// What has arrived is no HTTP/1.1 request, such as that of a client which speaks TLS to a listener that does not,
    /// or its head is larger than [`Config::header_size`](crate::Config::header_size) and
    /// [`Config::header_fields`](crate::Config::header_fields) allow. The client was answered with 400, 414 or 431.
    Request,
    /// The header of the PROXY protocol, the TLS handshake and a complete request head did not arrive within
    /// [`Config::handshake_timeout`](crate::Config::handshake_timeout).
    TimedOut,
    /// There were [`Config::max_handshakes`](crate::Config::max_handshakes), and this one has waited longest for its
    /// client, so it made room for another.
    PushedOut,
    /// Its address had [`Config::max_handshakes_per_address`](crate::Config::max_handshakes_per_address) already.
    TooManyFromAddress,
    /// The client has closed or reset the connection first, as health checks of load balancers do that only open one,
    /// and clients that gave up.
    Left,
}

/// A handshake that has failed; see [`Listener::on_handshake_failure`](crate::Listener::on_handshake_failure).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FailedHandshake {
    /// Who connected: the client that a proxy has announced, or else whoever opened the connection. `None` for a Unix
    /// socket, or if a proxy does not say it.
    pub remote_addr: Option<SocketAddr>,
    /// Why it failed.
    pub failure: HandshakeFailure,
    /// The same in more detail, in lower case. It is for people, and may change with any version.
    pub error: Cow<'static, str>,
}

/// How many handshakes have failed since a listener was made, from
/// [`Listener::handshake_failures`](crate::Listener::handshake_failures). Cheap to clone; clones show the same counts,
/// also while the listener serves and after it has ended.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use tieline::Listener;
///
/// let listener = Listener::bind("127.0.0.1:0").await?;
/// let failures = listener.handshake_failures();
/// // Then, as often as somebody asks, while the listener serves:
/// for (failure, count) in failures.counts() {
///     println!("{}: {count}", failure.name());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct HandshakeFailures(Arc<Counts>);

type Counts = [AtomicU64; HandshakeFailure::ALL.len()];

impl HandshakeFailure {
    const ALL: [Self; 7] = [
        Self::Tls,
        Self::ProxyHeader,
        Self::Request,
        Self::TimedOut,
        Self::PushedOut,
        Self::TooManyFromAddress,
        Self::Left,
    ];

    /// A word for metrics and logs that stays the same: `tls`, `proxy_header`, `request`, `timed_out`, `pushed_out`,
    /// `too_many_from_address` or `left`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::ProxyHeader => "proxy_header",
            Self::Request => "request",
            Self::TimedOut => "timed_out",
            Self::PushedOut => "pushed_out",
            Self::TooManyFromAddress => "too_many_from_address",
            Self::Left => "left",
        }
    }
}

impl HandshakeFailures {
    /// Every reason, each with how many have failed for it. The counts are not taken at one moment, and only grow.
    pub fn counts(&self) -> impl Iterator<Item = (HandshakeFailure, u64)> {
        let count = |failure| self.0[failure as usize].load(Ordering::Acquire);
        HandshakeFailure::ALL
            .map(|failure| (failure, count(failure)))
            .into_iter()
    }
}

/// Why a handshake has failed, before it is known whose it was.
pub(super) type Failed = (HandshakeFailure, Cow<'static, str>);

type Callback = Box<dyn Fn(&FailedHandshake) + Send + Sync>;

/// Counts failures, and tells of them.
#[derive(Default)]
pub(super) struct FailureLog {
    failures: HandshakeFailures,
    callback: Option<Callback>,
}

impl FailureLog {
    pub(super) fn failures(&self) -> &HandshakeFailures {
        &self.failures
    }

    /// One with the same counts that calls back.
    pub(super) fn calling(
        &self,
        callback: impl Fn(&FailedHandshake) + Send + Sync + 'static,
    ) -> Self {
        Self {
            failures: self.failures.clone(),
            callback: Some(Box::new(callback)),
        }
    }

    /// A handshake has failed. It is logged here only if nobody is called, who may log it with what is known there.
    #[cold]
    pub(super) fn note(&self, peer: Peer, (failure, error): Failed) {
        if let Some(callback) = &self.callback {
            let failed = FailedHandshake {
                remote_addr: peer.address(),
                failure,
                error,
            };
            if catch_unwind(AssertUnwindSafe(|| callback(&failed))).is_err() {
                tracing::error!("a callback of on_handshake_failure panicked");
            }
        } else {
            let failure = failure.name();
            tracing::debug!(remote_addr = %peer, failure, %error, "handshake failed");
        }
        // Last, so that whoever sees the count finds what was told.
        self.failures.0[failure as usize].fetch_add(1, Ordering::Release);
    }
}

impl fmt::Debug for FailureLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FailureLog").field(&self.failures).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_a_count_and_a_name_of_its_own() {
        let log = FailureLog::default();
        for (at, failure) in HandshakeFailure::ALL.into_iter().enumerate() {
            for _ in 0..=at {
                log.note(Peer::Unknown, (failure, "".into()));
            }
        }
        let counts: Vec<_> = log.failures().counts().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7]);
        let names: std::collections::HashSet<_> =
            HandshakeFailure::ALL.map(HandshakeFailure::name).into();
        assert_eq!(names.len(), HandshakeFailure::ALL.len());
    }

    #[test]
    fn a_failure_is_told_before_it_counts() {
        let log = FailureLog::default();
        let failures = log.failures().clone();
        let count = move || failures.counts().map(|(_, count)| count).sum::<u64>();
        let (before, told) = std::sync::mpsc::sync_channel(1);
        let log = log.calling({
            let count = count.clone();
            move |_| before.send(count()).unwrap()
        });
        log.note(Peer::Unknown, (HandshakeFailure::Tls, "".into()));
        assert_eq!((told.try_recv(), count()), (Ok(0), 1));
    }

    #[test]
    fn a_callback_that_panics_is_contained_and_the_failure_counts() {
        let log = FailureLog::default().calling(|_| panic!("a fault of the application"));
        log.note(Peer::Unknown, (HandshakeFailure::Tls, "".into()));
        assert_eq!(
            log.failures().counts().next(),
            Some((HandshakeFailure::Tls, 1))
        );
    }
}
