//! A connection as a member of a presence channel.
//!
//! Invariant: it is one until this is dropped, whatever ends the connection.

use std::{sync::Arc, time::Duration};

use tieline::{ClientId, Connection, EnterOutcome, Exit, JoinError, PresenceError};

use super::{
    member::{InvalidMember, Member},
    rooms::{OpenRoom, Rooms},
    signed_in::SignedIn,
};
use crate::app::hubs::{HubHandle, MemberLimits};

/// What a connection is in a presence channel.
pub(in crate::wire::pusher) struct Membership {
    room: Arc<OpenRoom>,
    id: ClientId,
    user: Arc<str>,
    /// How it ends; `None` if it has not begun.
    exit: Option<Exit>,
    /// How long the member stays if its connection ends, in milliseconds.
    grace: u32,
}

/// Why a connection is no member.
#[derive(Debug, thiserror::Error)]
pub(in crate::wire::pusher) enum EnterError {
    #[error(transparent)]
    Member(#[from] InvalidMember),
    #[error("a presence channel needs channel_data, or a user who has signed in")]
    Nobody,
    #[error("the channel has as many members as it may")]
    Full,
    #[error("the registry of this server keeps no members")]
    Unsupported,
    #[error("the channel takes no members now: {0}")]
    Presence(#[from] PresenceError),
}

impl Membership {
    /// Enters a connection as the member that its data says, or as the user who is signed in. It is not in the group
    /// yet.
    pub(in crate::wire::pusher) async fn enter(
        (rooms, hub): (&Rooms, &HubHandle),
        limits: MemberLimits,
        connection: &Connection,
        channel: &str,
        (data, user): (Option<&str>, Option<&SignedIn>),
    ) -> Result<(Self, Member), EnterError> {
        let member = match (data, user) {
            (Some(data), _) => Member::of_channel(data)?,
            (None, Some(user)) => user.member().clone(),
            (None, None) => return Err(EnterError::Nobody),
        };
        let open = rooms.open(hub, channel);
        let (room, presence) = open.ok_or(EnterError::Unsupported)?;
        room.read().await;
        let presence = limits.of(presence);
        let who = (Arc::clone(&member.id), Arc::clone(&member.info));
        let entering = presence.enter(channel, who.0, who.1);
        // From here on, so that it exits even if this is dropped while the registry is asked.
        let mut own = Self {
            id: connection.id().clone(),
            user: Arc::clone(&member.id),
            room: Arc::clone(&room),
            exit: Some(Exit::Disconnected),
            grace: u32::try_from(limits.grace.as_millis()).unwrap_or(u32::MAX),
        };
        let refused = match entering.await {
            Ok(EnterOutcome::Full) => EnterError::Full,
            Ok(_) => return Ok((own, member)),
            Err(error) => error.into(),
        };
        own.exit = None;
        Err(refused)
    }

    /// Joins the group of the channel. The data of the answer: all members.
    pub(in crate::wire::pusher) fn join(
        &self,
        connection: &Connection,
        member: &Member,
    ) -> Result<String, JoinError> {
        self.room.join(connection, member)
    }

    /// Who it is.
    pub(in crate::wire::pusher) fn user(&self) -> &str {
        &self.user
    }

    /// In which channel.
    pub(in crate::wire::pusher) fn channel(&self) -> &str {
        self.room.channel()
    }

    /// Once it is dropped, it has ended at once, because the client has unsubscribed.
    pub(in crate::wire::pusher) fn leave(&mut self) {
        self.exit = Some(Exit::Left);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(exit) = self.exit {
            let grace = Duration::from_millis(self.grace.into());
            self.room.leave(&self.id, &self.user, (exit, grace));
        }
    }
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Membership").field(&self.user).finish()
    }
}
