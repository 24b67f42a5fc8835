//! Messages to many that leave some clients out.
//!
//! Owns the ids to leave out, and the filter. Must not know shards or queues: each call is the one of [`Hub`]
//! with these, which are compared when the message is delivered.

use bytes::Bytes;

use super::{
    content::Content,
    core::Hub,
    scope::{ExcludedIds, Scope},
};
use crate::{delivery::Reached, receipt::Receipt};

/// A hub that leaves some clients out; made by [`Hub::except`] and [`Hub::matching`].
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
    filter: Option<Bytes>,
}

impl<'a> Except<'a> {
    pub(super) fn new(hub: &'a Hub, ids: ExcludedIds) -> Self {
        Self {
            hub,
            ids,
            filter: None,
        }
    }

    /// The same, for those only whom a filter admits, as [`Hub::matching`]; it replaces an earlier filter.
    #[must_use]
    pub fn matching(mut self, filter: impl Into<Bytes>) -> Self {
        self.filter = Some(filter.into());
        self
    }

    /// Sends to every connection of a user, except those left out.
    pub fn emit_user(&self, user: &str, content: impl Into<Content>) -> Receipt<Reached> {
        self.send(Scope::User(&self.hub.names().key(user)), content.into())
    }

    /// Sends to every connection in a group, except those left out.
    pub fn emit_group(&self, group: &str, content: impl Into<Content>) -> Receipt<Reached> {
        self.send(Scope::Group(&self.hub.names().key(group)), content.into())
    }

    /// Sends to every connection, except those left out.
    pub fn broadcast(&self, content: impl Into<Content>) -> Receipt<Reached> {
        self.send(self.hub.names().everyone(), content.into())
    }

    fn send(&self, scope: Scope<'_>, content: Content) -> Receipt<Reached> {
        let cast = content.into_multicast(scope, self.filter.clone());
        self.hub.send_to_scope(scope, Some(&self.ids), &cast)
    }
}
