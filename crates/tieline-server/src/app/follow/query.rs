//! Whom somebody wants to follow.

use serde::{Deserialize, Serialize};
use tieline::Connection;

/// Whom somebody wants to follow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FollowQuery {
    /// The same in each request of one who follows, and in no other.
    pub(crate) follow: String,
    /// `None` for all.
    pub(crate) hub: Option<String>,
    pub(crate) target: FollowTarget,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum FollowTarget {
    /// The connection with this id.
    Connection(String),
    /// All connections of this user.
    User(String),
}

impl FollowQuery {
    /// Whether a connection is meant.
    pub(super) fn means(&self, connection: &Connection) -> bool {
        let hub = self.hub.as_deref();
        hub.is_none_or(|hub| hub == connection.namespace())
            && match &self.target {
                FollowTarget::Connection(id) => connection.id().as_str() == id,
                FollowTarget::User(user) => connection.user() == Some(user),
            }
    }
}
