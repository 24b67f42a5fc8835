//! The names of users in the cluster.
//!
//! The cluster sends one frame to all connections of a user, but a user's clients may read different
//! encodings. So a user has one name in the cluster for each kind of client, and a message to the user
//! is sent to each name in that kind's encoding. Clients never see these names.

use tieline::Connection;

/// Which encoding a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientKind {
    /// Messages in an envelope of the wire's subprotocol.
    Enveloped,
    /// Bare payloads, without a subprotocol.
    Bare,
}

impl ClientKind {
    pub(crate) fn of(client: &Connection) -> Self {
        match client.subprotocol() {
            Some(_) => Self::Enveloped,
            None => Self::Bare,
        }
    }
}

/// The name under which the cluster knows a user's clients of one kind.
pub(crate) fn cluster_name(kind: ClientKind, user: &str) -> String {
    match kind {
        ClientKind::Enveloped => format!("j:{user}"),
        ClientKind::Bare => format!("s:{user}"),
    }
}

/// The user that a cluster name belongs to.
pub(crate) fn user_of_name(cluster_name: &str) -> &str {
    cluster_name
        .split_once(':')
        .map_or(cluster_name, |(_, user)| user)
}

/// The user that a client connected as; `None` if it is anonymous.
pub(crate) fn user_of(client: &Connection) -> Option<&str> {
    client.user().map(user_of_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_name_leads_back_to_its_user() {
        for user in ["ada", "a:b", ":", ""] {
            for kind in [ClientKind::Enveloped, ClientKind::Bare] {
                assert_eq!(user_of_name(&cluster_name(kind, user)), user);
            }
        }
    }
}
