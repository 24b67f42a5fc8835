//! What goes wrong with Redis, and what is to be done about it.
//!
//! Owns the difference between what passes and what needs another configuration, and between errors
//! of a command and of its connection. No message holds a password: the library prints none, and the
//! URL is never part of one.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::error::RegistryError;

/// The code of our own error for a server of a cluster that is used as a single one.
const CLUSTERED: &str = "CLUSTERED";

/// A failure on one server.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    server: String,
    error: RedisError,
}

impl Fault {
    pub(super) fn new(server: impl Into<String>, error: RedisError) -> Self {
        let server = server.into();
        Self { server, error }
    }

    pub(super) fn error(&self) -> &RedisError {
        &self.error
    }

    /// As the registry's error: what was tried, and on which server.
    pub(super) fn during(self, what: &str) -> RegistryError {
        let Self { server, error } = self;
        if let Some(advice) = advice(&error) {
            let what = format!("{what} (Redis at {server}): {advice}");
            return RegistryError::refused(what, error.to_string());
        }
        // As text: the library's error says what its cause says too.
        RegistryError::new(format!("{what} (Redis at {server})"), error.to_string())
    }
}

/// What to change where trying again does not help.
pub(super) fn advice(error: &RedisError) -> Option<&'static str> {
    let text = error.to_string();
    let says = |what: &str| text.contains(what);
    match error.kind() {
        ErrorKind::AuthenticationFailed => Some("check the user and password of the URL"),
        ErrorKind::InvalidClientConfig => Some("check the address and the certificates"),
        ErrorKind::MasterNameNotFoundBySentinel => {
            Some("the sentinels know no master of that name; check the URL")
        }
        _ if error.code() == Some(CLUSTERED) => {
            Some("it is one of a cluster; use a redis+cluster:// URL")
        }
        _ if error.code() == Some("NOAUTH") => Some("it asks for a password; give it in the URL"),
        _ if error.code() == Some("WRONGPASS") => Some("check the user and password of the URL"),
        _ if error.code() == Some("WRONGTYPE") => {
            Some("a key of this prefix has another use; choose another prefix")
        }
        _ if is_denied(error, &text) => {
            Some("the user lacks a permission; the documentation of RedisRegistry lists them")
        }
        // What a server before 5 says to a script that asks the time and then writes.
        _ if says("non deterministic") => Some("Redis 5 or later is needed"),
        _ if says("DB index is out of range") => Some("it has no database of that number"),
        ErrorKind::Io if says("certificate") || says("fatal alert") => {
            Some("the certificates do not fit; check the certificate authority and the host name")
        }
        _ => None,
    }
}

/// Within scripts a missing permission has its own words, which changed with the version.
fn is_denied(error: &RedisError, text: &str) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
        || text.contains("ACL failure in script")
        || text.contains("The user executing the script can't")
}

/// Whether the connection is of no more use: it broke, or leads to a server that is not, or no longer,
/// the one that holds the data.
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
        // A password that was set while we were connected.
        _ => error.code() == Some("NOAUTH"),
    }
}

pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

pub(super) fn clustered() -> RedisError {
    redis::make_extension_error(CLUSTERED.to_owned(), None)
}

pub(super) fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
