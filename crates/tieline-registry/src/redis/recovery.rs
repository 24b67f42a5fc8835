//! What to do about the error of a request.
//!
//! Owns the errors after which a request is sent again: the connection ended, the deadline had passed on a
//! clock that has stepped forward, or the slot of the keys is moving to another server of a Redis Cluster.
//! Must not know connections.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::{server_error::ends_connection, url::Server};
use crate::types::Stamp;

/// How a request is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recovery {
    /// Over a new connection, once.
    Reconnect,
    /// With a deadline of this clock: nothing was carried out.
    Late(Stamp),
    /// To this server, for this time only: it has the keys, and will have the slot.
    Ask(Server),
    /// After a pause: some keys of the slot have moved, and others have not.
    Pause,
    /// Not again.
    Fail,
}

/// What to do about an error of the server `from`.
pub(super) fn recovery(error: &RedisError, from: &Server) -> Recovery {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::Ask) => {
            redirected(error, from).map_or(Recovery::Fail, Recovery::Ask)
        }
        ErrorKind::Server(ServerErrorKind::TryAgain) => Recovery::Pause,
        _ if is_partly_moved(error) => Recovery::Pause,
        _ if error.code() == Some("LATE") => late(error).map_or(Recovery::Fail, Recovery::Late),
        _ if ends_connection(error) => Recovery::Reconnect,
        _ => Recovery::Fail,
    }
}

/// Whether the slot of the keys is moving: the server may be used.
pub(super) fn is_slot_moving(error: &RedisError) -> bool {
    let kind = error.kind();
    kind == ErrorKind::Server(ServerErrorKind::Ask)
        || kind == ErrorKind::Server(ServerErrorKind::TryAgain)
        || is_partly_moved(error)
}

/// Inside a script, the error of a key that has moved has no code.
fn is_partly_moved(error: &RedisError) -> bool {
    error.to_string().contains("non local key")
}

fn late(error: &RedisError) -> Option<Stamp> {
    let first = error.detail()?.split_ascii_whitespace().next()?;
    first.parse().ok().map(Stamp)
}

/// Where a server of a cluster redirects to. A server that does not know its own name sends no host: it
/// means the host that was asked.
pub(super) fn redirected(error: &RedisError, from: &Server) -> Option<Server> {
    let (address, _) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    let host = if host.is_empty() { &from.host } else { host };
    Some(Server {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: port.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> RedisError {
        let reply = redis::parse_redis_value(format!("-{text}\r\n").as_bytes());
        let value = reply.expect("a valid reply");
        value.extract_error().expect_err("an error")
    }

    fn server(host: &str, port: u16) -> Server {
        Server {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn each_error_has_its_recovery() {
        let from = server("a", 1);
        let cases = [
            ("ASK 7 b:2", Recovery::Ask(server("b", 2))),
            ("ASK 7 :2", Recovery::Ask(server("a", 2))),
            ("ASK nonsense", Recovery::Fail),
            ("TRYAGAIN Multiple keys request", Recovery::Pause),
            (
                "ERR Script attempted to access a non local key in a cluster node script: x",
                Recovery::Pause,
            ),
            (
                "LATE 1700000000000000",
                Recovery::Late(Stamp(1_700_000_000_000_000)),
            ),
            (
                "LATE 17 script: x, on @user_script:1.",
                Recovery::Late(Stamp(17)),
            ),
            ("LATE", Recovery::Fail),
            ("READONLY You can't write", Recovery::Reconnect),
            ("ERR unknown", Recovery::Fail),
        ];
        for (text, expected) in cases {
            assert_eq!(recovery(&error(text), &from), expected, "{text}");
        }
    }
}
