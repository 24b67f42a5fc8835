//! Messages to many that leave some clients out.
//!
//! Owns the ids to leave out. Must not know shards or queues: each call is the one of [`Hub`] with these ids,
//! which are compared when the message is delivered.

use tieline_websocket::Frame;

use super::{
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
    pub fn emit_user(&self, user: &str, frame: impl Into<Frame>) -> Receipt<Reached> {
        self.hub
            .send_to_scope(Scope::User(user), Some(&self.ids), &frame.into())
    }

    /// Sends to every connection in a group, except those left out.
    pub fn emit_group(&self, group: &str, frame: impl Into<Frame>) -> Receipt<Reached> {
        self.hub
            .send_to_scope(Scope::Group(group), Some(&self.ids), &frame.into())
    }

    /// Sends to every connection, except those left out.
    pub fn broadcast(&self, frame: impl Into<Frame>) -> Receipt<Reached> {
        self.hub
            .send_to_scope(Scope::Everyone, Some(&self.ids), &frame.into())
    }
}
