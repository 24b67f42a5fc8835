//! A user who has signed in on a connection.
//!
//! Invariant: the user is online until this is dropped, whatever ends the connection.

use std::sync::Arc;

use tieline::{Exit, Presence};

use super::member::Member;

/// A user who has signed in on a connection.
pub(in crate::wire::pusher) struct SignedIn {
    member: Member,
    /// `None` if nobody can know who is online.
    _online: Option<Online>,
}

/// A connection of a user, who is online until the last of them is dropped.
struct Online {
    presence: Presence,
    user: Arc<str>,
    /// Whether it has begun.
    is_in: bool,
}

impl SignedIn {
    /// From now on the user is online, if anybody can know that.
    pub(in crate::wire::pusher) async fn begin(presence: Option<Presence>, member: Member) -> Self {
        let online = match presence {
            Some(presence) => Some(Online::begin(presence, &member.id).await),
            None => None,
        };
        Self {
            member,
            _online: online,
        }
    }

    /// Who it is on presence channels, unless the application has signed another member.
    pub(super) fn member(&self) -> &Member {
        &self.member
    }

    pub(in crate::wire::pusher) fn id(&self) -> &str {
        &self.member.id
    }
}

impl Online {
    async fn begin(presence: Presence, user: &Arc<str>) -> Self {
        let registry = presence.clone();
        let entering = registry.sign_in(user);
        // From here on, so that it signs out even if this is dropped while the registry is asked.
        let mut online = Self {
            presence,
            user: Arc::clone(user),
            is_in: true,
        };
        if let Err(error) = entering.await {
            tracing::debug!(%error, "nobody is told that a user is online");
            online.is_in = false;
        }
        online
    }
}

impl Drop for Online {
    fn drop(&mut self) {
        if self.is_in {
            self.presence.sign_out(&self.user, Exit::Disconnected);
        }
    }
}
