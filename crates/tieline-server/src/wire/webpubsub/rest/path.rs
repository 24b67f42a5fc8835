//! Which operation a request is for: its method and path.
//!
//! Owns the paths below `/api/hubs/`, how names are encoded in them, and which names there can be. Must not know
//! what an operation does. Invariant: a path is split before it is decoded, and decoded once, so that `%2F` is
//! part of a name, and `+` is a plus.

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::error::Error;
use crate::app::{name, role::Permission};

/// A request's hub, as it stands there, and what it asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) hub: String,
    pub(super) operation: Operation,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Send(Target),
    Close(Target),
    Exists(Target),
    AddConnection { group: String, connection: String },
    RemoveConnection { group: String, connection: String },
    RemoveConnectionFromAll { connection: String },
    AddUser { user: String, group: String },
    RemoveUser { user: String, group: String },
    RemoveUserFromAll { user: String },
    Permission(Access, Permission, String),
    AddToGroups,
    RemoveFromGroups,
    Members { group: String },
    GenerateToken,
}

/// To whom a message goes, who is closed, or whose existence is asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Everyone,
    Group(String),
    User(String),
    Connection(String),
}

impl Target {
    /// A word for traces.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Group(_) => "group",
            Self::User(_) => "user",
            Self::Connection(_) => "connection",
        }
    }
}

/// What is done with a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Grant,
    Check,
    Revoke,
}

impl Operation {
    /// A word for metrics.
    pub(super) fn route(&self) -> &'static str {
        match self {
            Self::Send(Target::Everyone) => "send_to_all",
            Self::Send(Target::Group(_)) => "send_to_group",
            Self::Send(Target::User(_)) => "send_to_user",
            Self::Send(Target::Connection(_)) => "send_to_connection",
            Self::Close(Target::Everyone) => "close_all",
            Self::Close(Target::Group(_)) => "close_group",
            Self::Close(Target::User(_)) => "close_user",
            Self::Close(Target::Connection(_)) => "close_connection",
            Self::Exists(Target::Everyone) => "hub_exists",
            Self::Exists(Target::Group(_)) => "group_exists",
            Self::Exists(Target::User(_)) => "user_exists",
            Self::Exists(Target::Connection(_)) => "connection_exists",
            Self::AddConnection { .. } => "add_connection_to_group",
            Self::RemoveConnection { .. } => "remove_connection_from_group",
            Self::RemoveConnectionFromAll { .. } => "remove_connection_from_all_groups",
            Self::AddUser { .. } => "add_user_to_group",
            Self::RemoveUser { .. } => "remove_user_from_group",
            Self::RemoveUserFromAll { .. } => "remove_user_from_all_groups",
            Self::Permission(Access::Grant, ..) => "grant_permission",
            Self::Permission(Access::Check, ..) => "check_permission",
            Self::Permission(Access::Revoke, ..) => "revoke_permission",
            Self::AddToGroups => "add_connections_to_groups",
            Self::RemoveFromGroups => "remove_connections_from_groups",
            Self::Members { .. } => "list_connections_in_group",
            Self::GenerateToken => "generate_token",
        }
    }
}

const METHODS: [Method; 5] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
];

impl Call {
    /// Reads method and path.
    pub(super) fn parse(method: &Method, path: &str) -> Result<Self, Error> {
        let path = path
            .strip_prefix("/api/hubs/")
            .ok_or_else(Error::no_route)?;
        let mut segments = path.split('/').map(|segment| {
            let decoded = percent_decode_str(segment).decode_utf8();
            decoded.map_err(|_| Error::bad_request("path", "the path is not UTF-8"))
        });
        let hub = segments.next().ok_or_else(Error::no_route)??.into_owned();
        let segments = segments.collect::<Result<Vec<_>, _>>()?;
        let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
        if let Some(operation) = operation(method, &segments) {
            let operation = operation?;
            return Ok(Self { hub, operation });
        }
        let others = METHODS.iter();
        let others = others.filter(|method| operation_exists(method, &segments));
        let allowed: Vec<_> = others.map(Method::as_str).collect();
        Err(match &*allowed {
            [] => Error::no_route(),
            allowed => Error::method(&allowed.join(", ")),
        })
    }
}

fn operation_exists(method: &Method, segments: &[&str]) -> bool {
    operation(method, segments).is_some()
}

/// The operation; `None` if the path has none with this method.
fn operation(method: &Method, segments: &[&str]) -> Option<Result<Operation, Error>> {
    Some(match (method.as_str(), segments) {
        ("POST", [":send"]) => Ok(Operation::Send(Target::Everyone)),
        ("POST", [":closeConnections"]) => Ok(Operation::Close(Target::Everyone)),
        ("POST", [":addToGroups"]) => Ok(Operation::AddToGroups),
        ("POST", [":removeFromGroups"]) => Ok(Operation::RemoveFromGroups),
        ("POST", [":generateToken"]) => Ok(Operation::GenerateToken),
        ("POST", [kind, name, ":send"]) => target(kind, name)?.map(Operation::Send),
        // A single connection is closed by DELETE.
        ("POST", ["groups" | "users", name, ":closeConnections"]) => {
            target(segments[0], name)?.map(Operation::Close)
        }
        ("DELETE", ["connections", name]) => target("connections", name)?.map(Operation::Close),
        ("HEAD", [kind, name]) => target(kind, name)?.map(Operation::Exists),
        ("GET", ["groups", group, "connections"]) => {
            named(group).map(|group| Operation::Members { group })
        }
        ("PUT" | "DELETE", ["groups", group, "connections", connection]) => pair(group, connection)
            .map(|(group, connection)| match method {
                &Method::PUT => Operation::AddConnection { group, connection },
                _ => Operation::RemoveConnection { group, connection },
            }),
        ("DELETE", ["connections", connection, "groups"]) => {
            named(connection).map(|connection| Operation::RemoveConnectionFromAll { connection })
        }
        ("PUT" | "DELETE", ["users", user, "groups", group]) => {
            pair(user, group).map(|(user, group)| match method {
                &Method::PUT => Operation::AddUser { user, group },
                _ => Operation::RemoveUser { user, group },
            })
        }
        ("DELETE", ["users", user, "groups"]) => {
            named(user).map(|user| Operation::RemoveUserFromAll { user })
        }
        (_, ["permissions", permission, "connections", connection]) => {
            let access = match method.as_str() {
                "PUT" => Access::Grant,
                "HEAD" => Access::Check,
                "DELETE" => Access::Revoke,
                _ => return None,
            };
            to_permission(permission).and_then(|permission| {
                Ok(Operation::Permission(
                    access,
                    permission,
                    named(connection)?,
                ))
            })
        }
        _ => return None,
    })
}

fn target(kind: &str, name: &str) -> Option<Result<Target, Error>> {
    let target = match kind {
        "groups" => Target::Group,
        "users" => Target::User,
        "connections" => Target::Connection,
        _ => return None,
    };
    Some(named(name).map(target))
}

fn pair(one: &str, other: &str) -> Result<(String, String), Error> {
    Ok((named(one)?, named(other)?))
}

fn to_permission(name: &str) -> Result<Permission, Error> {
    Permission::parse(name).ok_or_else(|| {
        let message = "unknown permission; use sendToGroup or joinLeaveGroup";
        Error::bad_request("permission", message)
    })
}

/// A name of a group, a user or a connection that can exist.
fn named(name: &str) -> Result<String, Error> {
    check_name("path", name)?;
    Ok(name.to_owned())
}

/// Whether a group, a user or a connection can have this name.
pub(super) fn check_name(target: &'static str, name: &str) -> Result<(), Error> {
    name::check(name).map_err(|error| Error::bad_request(target, error.to_string()))
}

#[cfg(test)]
mod tests {
    use tieline::MAX_NAME;

    use super::*;

    fn operation(method: &Method, path: &str) -> Operation {
        let call = Call::parse(method, &format!("/api/hubs/chat{path}")).unwrap();
        assert_eq!(call.hub, "chat");
        call.operation
    }

    #[test]
    fn a_path_is_split_first_and_decoded_once() {
        for (encoded, name) in [
            ("a%2Fb", "a/b"),
            ("a+b", "a+b"),
            ("a%2Bb", "a+b"),
            ("a%252Fb", "a%2Fb"),
            ("a:b@c", "a:b@c"),
            ("%3Asend", ":send"),
            ("%e4%bd%a0", "你"),
        ] {
            let sent = operation(&Method::POST, &format!("/users/{encoded}/:send"));
            assert_eq!(sent, Operation::Send(Target::User(name.to_owned())));
            let exists = operation(&Method::HEAD, &format!("/groups/{encoded}"));
            assert_eq!(exists, Operation::Exists(Target::Group(name.to_owned())));
        }
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        let long = "x".repeat(MAX_NAME + 1);
        for name in ["", "%20", "%00a", "%ff", &long] {
            let path = format!("/api/hubs/chat/groups/{name}/:send");
            assert!(Call::parse(&Method::POST, &path).is_err(), "{path}");
        }
    }
}
