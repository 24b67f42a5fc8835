//! The errors of Redis servers, and what to do about them.
//!
//! Owns two distinctions: errors that pass from those that a person has to act on, and errors of a
//! command from those of its connection. Invariant: no message contains a password. The library prints
//! none, and the URL is never part of a message.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::error::{RegistryError, RegistryErrorKind};

/// The code of an error that no server sends: a server of a Redis Cluster is used as a single one.
const CLUSTER_MEMBER: &str = "CLUSTERMEMBER";

/// An error of one server.
#[derive(Debug, Clone)]
pub(super) struct ServerError {
    server: String,
    error: RedisError,
}

impl ServerError {
    pub(super) fn new(server: impl Into<String>, error: RedisError) -> Self {
        let server = server.into();
        Self { server, error }
    }

    pub(super) fn error(&self) -> &RedisError {
        &self.error
    }

    /// The error of an operation on this server.
    pub(super) fn into_registry_error(self, operation: &str) -> RegistryError {
        let Self { server, error } = self;
        // The source is text: the message of the library's error repeats that of its source.
        let source = error.to_string();
        match advice(&error) {
            Some((kind, advice)) => {
                let operation = format!("{operation} (Redis at {server}): {advice}");
                RegistryError::of_kind(kind, operation, source)
            }
            None => RegistryError::new(format!("{operation} (Redis at {server})"), source),
        }
    }
}

/// What a person can do, and the kind of the error; `None` if it may pass by itself.
pub(super) fn advice(error: &RedisError) -> Option<(RegistryErrorKind, &'static str)> {
    denied(error)
        .map(|advice| (RegistryErrorKind::Denied, advice))
        .or_else(|| misconfigured(error).map(|advice| (RegistryErrorKind::Misconfigured, advice)))
}

fn denied(error: &RedisError) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::AuthenticationFailed => Some("check the user and password of the URL"),
        _ if error.code() == Some("NOAUTH") => Some("it requires a password; add it to the URL"),
        _ if error.code() == Some("WRONGPASS") => Some("check the user and password of the URL"),
        _ if lacks_permission(error) => {
            Some("the user lacks a permission; the documentation of RedisRegistry lists them")
        }
        _ => None,
    }
}

fn misconfigured(error: &RedisError) -> Option<&'static str> {
    let text = error.to_string();
    let says = |what: &str| text.contains(what);
    match error.kind() {
        ErrorKind::InvalidClientConfig => Some("check the address and the certificates"),
        ErrorKind::MasterNameNotFoundBySentinel => {
            Some("the sentinels know no master of that name; check the URL")
        }
        _ if error.code() == Some(CLUSTER_MEMBER) => {
            Some("it belongs to a Redis Cluster; use a redis+cluster:// URL")
        }
        _ if error.code() == Some("WRONGTYPE") => {
            Some("a key of this prefix has another use; choose another prefix")
        }
        // The reply of a server before 5 to a script that reads the time and then writes.
        _ if says("non deterministic") => Some("Redis 5 or later is required"),
        _ if says("DB index is out of range") => {
            Some("it has no database with this number; check the URL")
        }
        ErrorKind::Io if says("certificate") || says("fatal alert") => {
            Some("the certificates do not match; check the certificate authority and the host name")
        }
        _ => None,
    }
}

/// Inside a script, the error of a missing permission has no code, and its text depends on the version.
fn lacks_permission(error: &RedisError) -> bool {
    let text = error.to_string();
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
        || text.contains("ACL failure in script")
        || text.contains("The user executing the script can't")
}

/// Whether the connection must be replaced: it broke, or its server does not hold the data any more.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::Moved
                | ServerErrorKind::ClusterDown
        ),
        // The server got a password after the connection was opened.
        _ => error.code() == Some("NOAUTH"),
    }
}

pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

pub(super) fn cluster_member() -> RedisError {
    redis::make_extension_error(CLUSTER_MEMBER.to_owned(), None)
}

pub(super) fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
