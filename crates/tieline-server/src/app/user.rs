//! How users are named in the cluster.
//!
//! Owns the two names that a user has there, one for each kind of client: clients of the subprotocol
//! and simple clients read other frames, and a message to a name goes out in one form.

use tieline::Connection;

/// What a client reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Frames of the JSON subprotocol.
    Json,
    /// Bare payloads.
    Simple,
}

/// The cluster's name for a user's clients of a kind.
pub(crate) fn named(kind: Kind, user: &str) -> String {
    match kind {
        Kind::Json => format!("j:{user}"),
        Kind::Simple => format!("s:{user}"),
    }
}

/// The user behind one of the cluster's names.
pub(crate) fn user_named(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, user)| user)
}

/// The user that a client is, if it named itself.
pub(crate) fn user_of(client: &Connection) -> Option<&str> {
    client.user().map(user_named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_back_from_either_name() {
        for user in ["ada", "a:b", ":", ""] {
            for kind in [Kind::Json, Kind::Simple] {
                assert_eq!(user_named(&named(kind, user)), user);
            }
        }
    }
}
