//! The errors of Redis servers, and what to do about them.
//!
//! Owns three distinctions: errors that pass from those that a person has to act on; errors of a command
//! from those of its connection; and a server that does not hold the data from one that accepts no writes
//! for now. Invariant: no message contains a password. The library prints none, and the URL is never part
//! of a message.
//!
//! The wording differs. Since Redis 7, the error of a command inside a script keeps its code
//! (`READONLY …`). Before, it is text in an error with another code: `ERR Error running script (…):
//! @user_script:1: @user_script: 1: -READONLY …`. So [`says`] looks for the code in both places.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::error::{RegistryError, RegistryErrorKind};

/// The code of an error that no server sends: a server of a Redis Cluster is used as a single one.
const CLUSTER_MEMBER: &str = "CLUSTERMEMBER";

/// The codes with which a server says that another one has the data, or that it has not loaded it yet.
const NOT_THE_MASTER: [&str; 5] = ["READONLY", "MASTERDOWN", "LOADING", "MOVED", "CLUSTERDOWN"];

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

/// What a person can do, and the kind of the error.
fn advice(error: &RedisError) -> Option<(RegistryErrorKind, &'static str)> {
    permanent(error).or_else(|| {
        let cure = refuses_for_now(error)?;
        Some((RegistryErrorKind::Unavailable, cure))
    })
}

/// What a person has to do, and the kind of the error; `None` if it may pass by itself.
pub(super) fn permanent(error: &RedisError) -> Option<(RegistryErrorKind, &'static str)> {
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
        // With NOAUTH, the server got a password after the connection was opened.
        _ => NOT_THE_MASTER.iter().any(|code| says(error, code)) || says(error, "NOAUTH"),
    }
}

/// The master, which accepts no writes for now: what a person can do. Reads continue to work, except
/// during BUSY.
pub(super) fn refuses_for_now(error: &RedisError) -> Option<&'static str> {
    let refusals = [
        (
            "MISCONF",
            "it accepts no writes because it cannot save its data; see its log and its disk, or set \
             stop-writes-on-bgsave-error to no",
        ),
        (
            "NOREPLICAS",
            "it accepts no writes because too few replicas are connected; start them, or lower \
             min-replicas-to-write",
        ),
        (
            "OOM",
            "it accepts no writes because its memory is full; raise maxmemory",
        ),
        (
            "BUSY",
            "it is running a script of another program; SCRIPT KILL ends it",
        ),
    ];
    let refusal = refusals.into_iter().find(|(code, _)| says(error, code));
    refusal.map(|(_, cure)| cure)
}

/// Whether the server's error has this code, or reports an error with this code.
fn says(error: &RedisError, code: &str) -> bool {
    let is_code = |word: &str| word.trim_start_matches('-') == code;
    error.code() == Some(code) || error.to_string().split_whitespace().any(is_code)
}

/// The error of the first command that failed. That of the pipeline has neither its code nor its details,
/// which decide whether the pipeline is sent again, and to which server.
pub(super) fn first_of_pipeline(error: RedisError) -> RedisError {
    let errors = error.clone().into_server_errors();
    let first = errors.as_deref().and_then(<[_]>::first);
    first.map_or(error, |(_, first)| first.clone().into())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// How Redis 5 and 6 report the error of a command in a script, and how they report one that the script
    /// returns.
    const BEFORE_7: [&str; 2] = [
        "-ERR Error running script (call to f_2fa2b0): @user_script:9: @user_script: 9: -",
        "-@user_script: 9: -",
    ];

    const READONLY: &str = "READONLY You can't write against a read only replica.";
    const NOREPLICAS: &str = "NOREPLICAS Not enough good replicas to write.";
    const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";
    const MISCONF: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to \
                           persist to disk. Commands that may modify the data set are disabled.";
    const AOF: &str = "MISCONF Errors writing to the AOF file: No space left on device";

    fn error(line: &str) -> RedisError {
        let reply = redis::parse_redis_value(format!("{line}\r\n").as_bytes());
        let Ok(redis::Value::ServerError(error)) = reply else {
            panic!("{reply:?}")
        };
        error.into()
    }

    /// An error in each wording: of a command of its own, of one in a script of Redis 7, of earlier ones.
    fn wordings(said: &str) -> Vec<RedisError> {
        let alone = error(&format!("-{said}"));
        let in_script = error(&format!("-{said} script: 2fa2b0, on @user_script:9."));
        let before_7 = BEFORE_7.map(|start| error(&format!("{start}{said}  ")));
        [alone, in_script].into_iter().chain(before_7).collect()
    }

    #[test]
    fn a_server_without_the_data_is_left_whatever_its_version() {
        for error in wordings(READONLY) {
            assert!(ends_connection(&error), "{error}");
            assert_eq!(refuses_for_now(&error), None, "{error}");
            assert_eq!(permanent(&error), None, "{error}");
        }
        let others = [
            "-LOADING Redis is loading the dataset in memory",
            "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "-MOVED 3999 127.0.0.1:6381",
            "-CLUSTERDOWN The cluster is down",
            "-NOAUTH Authentication required.",
        ];
        for line in others {
            assert!(ends_connection(&error(line)), "{line}");
        }
    }

    #[test]
    fn a_master_that_refuses_for_now_is_kept_and_the_cure_is_named() {
        let cures = [
            (MISCONF, "disk"),
            (AOF, "disk"),
            (NOREPLICAS, "min-replicas-to-write"),
            (OOM, "maxmemory"),
        ];
        for (said, cure) in cures {
            for error in wordings(said) {
                assert!(!ends_connection(&error), "{error}");
                let error = ServerError::new("h:1", error).into_registry_error("claim ids");
                assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
                assert!(error.to_string().contains(cure), "{error}");
            }
        }
        let busy = "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
        assert!(!ends_connection(&error(busy)));
        assert!(refuses_for_now(&error(busy)).is_some());
    }

    #[test]
    fn other_errors_mean_neither() {
        let others = [
            "-ERR unknown command 'XYZ'",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
            "-NOPERM this user has no permissions to access the 'MISCONF' key",
        ];
        for line in others {
            let error = error(line);
            assert!(!ends_connection(&error), "{line}");
            assert_eq!(refuses_for_now(&error), None, "{line}");
        }
    }
}
