//! Why a call failed, and what follows from it.
//!
//! Owns the reading of etcd's and the transport's errors: whether the call may have been carried out,
//! and what a person can do about it.

use std::{error::Error, io};

use tonic::{Code, ConnectError, Status};

use crate::error::RegistryError;

#[derive(Debug)]
pub(super) enum Fault {
    /// Certainly not carried out; another endpoint may do it.
    Unsent(String),
    /// Nobody knows whether it was carried out.
    Unknown(String),
    /// No answer in time; nobody knows either.
    Timeout,
    /// The lease is gone; nothing was carried out.
    LeaseGone,
    /// The token is not valid, or no longer; nothing was carried out.
    Token(String),
    /// The cluster has no users; said to those who authenticate.
    NoUsers,
    /// The configuration has to change; nothing was carried out.
    Refused(String),
    /// etcd refused what was asked; nothing was carried out.
    Rejected(String),
}

impl Fault {
    /// What a status means that came by way of this endpoint.
    pub(super) fn of(status: &Status, endpoint: &str) -> Self {
        match status.source() {
            Some(source) => Self::of_transport(status, source, endpoint),
            None => Self::of_etcd(status, endpoint),
        }
    }

    /// etcd has no codes finer than gRPC's, so its texts tell; they are part of its API.
    fn of_etcd(status: &Status, endpoint: &str) -> Self {
        let said = status.message();
        let text = |advice: &str| format!("etcd at {endpoint} answered: {said}{advice}");
        let has = |part| said.contains(part);
        if has("requested lease not found") {
            Self::LeaseGone
        } else if has("invalid auth token")
            || has("auth store is old")
            || has("user name is empty")
            || has("user name not found")
        {
            Self::Token(text(
                "; it wants user:password in the URL, of a user that it knows",
            ))
        } else if has("authentication is not enabled") {
            Self::NoUsers
        } else if has("authentication failed") {
            Self::Refused(text("; check user and password in the URL"))
        } else if has("permission denied") {
            Self::Refused(text(
                "; the user's role needs readwrite on the prefix, and on it with !tieline before it",
            ))
        } else if has("database space exceeded") {
            Self::Rejected(text("; compact and defragment it, then disarm the alarm"))
        } else if has("no leader") || has("too many requests") || has("for learner") {
            Self::Unsent(text(""))
        } else {
            match status.code() {
                Code::Cancelled | Code::DeadlineExceeded => Self::Timeout,
                Code::Unimplemented => Self::Refused(text("; is this etcd, 3.3 or later?")),
                Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
                    Self::Rejected(text(""))
                }
                _ => Self::Unknown(text("")),
            }
        }
    }

    fn of_transport(status: &Status, source: &(dyn Error + 'static), endpoint: &str) -> Self {
        let causes = || std::iter::successors(Some(source), |&error| error.source());
        let innermost = causes()
            .last()
            .map_or_else(String::new, ToString::to_string);
        if innermost.contains("invalid peer certificate") {
            return Self::Refused(format!(
                "etcd at {endpoint} is not to be trusted: {innermost}; check the CA, and the names in \
                 the server's certificate"
            ));
        }
        let timed_out = |error: &(dyn Error + 'static)| {
            let io = error.downcast_ref::<io::Error>();
            io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        };
        // A timeout below hyper is one of an established connection, above it one of connecting.
        let established = causes().any(<dyn Error>::is::<hyper::Error>);
        let connecting = causes().any(<dyn Error>::is::<ConnectError>)
            || causes().any(timed_out) && !established;
        let text = format!("etcd at {endpoint}: {innermost}");
        match status.code() {
            _ if connecting => Self::Unsent(text),
            Code::Cancelled | Code::DeadlineExceeded => Self::Timeout,
            _ => Self::Unknown(text),
        }
    }

    /// Whether the call may be made again: at another endpoint that was not asked yet, or at any.
    pub(super) fn again(&self, harmless: bool, another: bool) -> bool {
        match self {
            Self::Unsent(_) => true,
            Self::Unknown(_) | Self::Timeout => harmless,
            // The certificate of one endpoint; others may have a good one.
            Self::Refused(_) => another,
            _ => false,
        }
    }

    /// Whether the next call had better ask another endpoint.
    pub(super) fn leaves_endpoint(&self) -> bool {
        matches!(
            self,
            Self::Unsent(_) | Self::Unknown(_) | Self::Timeout | Self::Refused(_)
        )
    }

    /// The error of an operation that wanted to do `what`.
    pub(super) fn into_error(self, what: &str) -> RegistryError {
        match self {
            Self::Timeout => RegistryError::timeout(what),
            Self::Unsent(text) | Self::Unknown(text) | Self::Rejected(text) => {
                RegistryError::new(what, text)
            }
            Self::LeaseGone => RegistryError::new(what, "the lease is gone"),
            Self::NoUsers => RegistryError::new(what, "etcd has no users"),
            Self::Token(text) | Self::Refused(text) => RegistryError::refused(what, text),
        }
    }
}
