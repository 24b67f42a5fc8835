//! Why a call failed, and what follows from it.
//!
//! Owns the classification of etcd's and the transport's errors: whether the call may have been carried out,
//! whether to make it again, and what a person can do.

use std::{error::Error, io};

use tonic::{Code, ConnectError, Status};

use crate::error::{RegistryError, RegistryErrorKind};

#[derive(Debug)]
pub(super) enum CallError {
    /// Certainly not carried out; another endpoint may accept it.
    NotExecuted(String),
    /// It may have been carried out.
    Unknown(String),
    /// No response in time; it may have been carried out.
    Timeout,
    /// The lease is gone; nothing was carried out.
    LeaseGone,
    /// There is a lease of this name already.
    LeaseExists,
    /// The revision is not kept any more, or has been lost.
    RevisionGone,
    /// The token is missing, invalid or expired; nothing was carried out.
    InvalidToken(String),
    /// Authentication was requested, but is not enabled.
    AuthDisabled,
    /// The user is unknown or lacks a permission; nothing was carried out.
    Denied(String),
    /// This is not etcd, or cannot be trusted; nothing was carried out.
    Misconfigured(String),
    /// etcd rejected the request; nothing was carried out.
    Rejected(String),
    /// Others changed the same keys in every round.
    Contention(&'static str),
}

/// The error of an operation whose call failed.
pub(super) fn during(operation: &'static str) -> impl FnOnce(CallError) -> RegistryError {
    move |error| error.into_registry_error(operation)
}

impl CallError {
    /// Classifies the status of a call at this endpoint.
    pub(super) fn from_status(status: &Status, endpoint: &str) -> Self {
        match status.source() {
            Some(source) => Self::from_transport(status, source, endpoint),
            None => Self::from_etcd(status, endpoint),
        }
    }

    /// etcd has no codes finer than gRPC's. Its messages distinguish more, and are part of its API.
    fn from_etcd(status: &Status, endpoint: &str) -> Self {
        let said = status.message();
        let text = |advice: &str| format!("etcd at {endpoint} responded: {said}{advice}");
        let has = |part| said.contains(part);
        if has("requested lease not found") {
            Self::LeaseGone
        } else if has("lease already exists") {
            Self::LeaseExists
        } else if has("required revision") {
            Self::RevisionGone
        } else if has("invalid auth token")
            || has("auth store is old")
            || has("user name is empty")
            || has("user name not found")
        {
            Self::InvalidToken(text(
                "; put user:password of a user that it knows in the URL",
            ))
        } else if has("authentication is not enabled") {
            Self::AuthDisabled
        } else if has("authentication failed") {
            Self::Denied(text("; check user and password in the URL"))
        } else if has("permission denied") {
            Self::Denied(text(
                "; the user's role needs readwrite on the prefix, and on !tieline + the prefix",
            ))
        } else if has("database space exceeded") {
            Self::Rejected(text("; compact and defragment it, then disarm the alarm"))
        } else if has("no leader") || has("too many requests") || has("for learner") {
            Self::NotExecuted(text(""))
        } else {
            match status.code() {
                Code::Cancelled | Code::DeadlineExceeded => Self::Timeout,
                Code::Unimplemented => Self::Misconfigured(text("; is this etcd 3.4 or later?")),
                Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
                    Self::Rejected(text(""))
                }
                _ => Self::Unknown(text("")),
            }
        }
    }

    fn from_transport(status: &Status, source: &(dyn Error + 'static), endpoint: &str) -> Self {
        let causes = || std::iter::successors(Some(source), |&error| error.source());
        let innermost = causes()
            .last()
            .map_or_else(String::new, ToString::to_string);
        if innermost.contains("invalid peer certificate") {
            return Self::Misconfigured(format!(
                "etcd at {endpoint} cannot be trusted: {innermost}; check the CA, and the names in the \
                 server's certificate"
            ));
        }
        let timed_out = |error: &(dyn Error + 'static)| {
            let io = error.downcast_ref::<io::Error>();
            io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        };
        // A timeout below hyper is one of an established connection; above it, one of connecting.
        let established = causes().any(<dyn Error>::is::<hyper::Error>);
        let connecting = causes().any(<dyn Error>::is::<ConnectError>)
            || causes().any(timed_out) && !established;
        let text = format!("etcd at {endpoint}: {innermost}");
        match status.code() {
            _ if connecting => Self::NotExecuted(text),
            Code::Cancelled | Code::DeadlineExceeded => Self::Timeout,
            _ => Self::Unknown(text),
        }
    }

    /// Whether to make the call again. `another`: an endpoint is left that was not tried yet.
    pub(super) fn may_retry(&self, idempotent: bool, another: bool) -> bool {
        match self {
            Self::NotExecuted(_) => true,
            Self::Unknown(_) | Self::Timeout => idempotent,
            // Perhaps only this endpoint's certificate or user database is wrong.
            Self::Denied(_) | Self::Misconfigured(_) => another,
            _ => false,
        }
    }

    /// Whether the next call should use another endpoint.
    pub(super) fn is_of_endpoint(&self) -> bool {
        matches!(
            self,
            Self::NotExecuted(_)
                | Self::Unknown(_)
                | Self::Timeout
                | Self::Denied(_)
                | Self::Misconfigured(_)
        )
    }

    /// The error of an operation whose call failed.
    pub(super) fn into_registry_error(self, operation: &str) -> RegistryError {
        use RegistryErrorKind::{Contention, Denied, Misconfigured, Unavailable};

        let (kind, text) = match self {
            Self::Timeout => return RegistryError::timeout(operation),
            Self::NotExecuted(text) | Self::Unknown(text) | Self::Rejected(text) => {
                (Unavailable, text)
            }
            Self::LeaseGone => (Unavailable, "the lease is gone".to_owned()),
            Self::LeaseExists => (Unavailable, "the lease is there already".to_owned()),
            Self::RevisionGone => (Unavailable, "the revision is not kept any more".to_owned()),
            Self::AuthDisabled => (Unavailable, "authentication is not enabled".to_owned()),
            Self::InvalidToken(text) | Self::Denied(text) => (Denied, text),
            Self::Misconfigured(text) => (Misconfigured, text),
            Self::Contention(text) => (Contention, text.to_owned()),
        };
        RegistryError::of_kind(kind, operation, text)
    }
}
