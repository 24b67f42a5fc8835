//! Messages to many that leave some clients out.
//!
//! Owns the ids to leave out. Must not know shards or queues: each call is the one of [`Hub`] with these ids,
//! which are compared when the message is delivered.

use super::{
    content::Content,
    core::Hub,
    scope::{ExcludedIds, Scope},
};
use crate::{delivery::Reached, receipt::Receipt};

/// A hub that leaves some client ids out; made by [`Hub::except`].
///
/// ```
/// use tieline::{Connection, Message};
///
/// /// Sends a client's message to the other members of a room.
/// fn relay(sender: &Connection, room: &str, message: Message) {
///     sender.hub().except([sender.id()]).emit_group(room, message);
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Except<'a> {
    hub: &'a Hub,
    ids: ExcludedIds,
}

impl<'a> Except<'a> {
    pub(super) fn new(hub: &'a Hub, ids: ExcludedIds) -> Self {
        Self { hub, ids }
    }

    /// Sends to every connection of a user, except those left out.
    pub fn emit_user(&self, user: &str, content: impl Into<Content>) -> Receipt<Reached> {
        self.hub
            .multicast(Scope::User(user), Some(&self.ids), content.into())
    }

    /// Sends to every connection in a group, except those left out.
    pub fn emit_group(&self, group: &str, content: impl Into<Content>) -> Receipt<Reached> {
        self.hub
            .multicast(Scope::Group(group), Some(&self.ids), content.into())
    }

    /// Sends to every connection, except those left out.
    pub fn broadcast(&self, content: impl Into<Content>) -> Receipt<Reached> {
        self.hub
            .multicast(Scope::Everyone, Some(&self.ids), content.into())
    }
}
