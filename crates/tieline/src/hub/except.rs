//! Exceptions from messages to many.

use tieline_websocket::Frame;

use super::{Hub, broadcast, index::Scope};
use crate::{Reached, Receipt};

/// A hub with some client ids left out; made by [`Hub::except`].
#[derive(Debug, Clone)]
pub struct Except<'a> {
    hub: &'a Hub,
    ids: broadcast::ExcludedIds,
}

impl<'a> Except<'a> {
    pub(super) fn new(hub: &'a Hub, ids: broadcast::ExcludedIds) -> Self {
        Self { hub, ids }
    }

    /// Sends to every connection of a user but the exceptions.
    pub fn emit_user(&self, user: &str, frame: impl Into<Frame>) -> Receipt<Reached> {
        self.hub
            .send_to_scope(Scope::User(user), Some(&self.ids), &frame.into())
    }

    /// Sends to every connection in a group but the exceptions.
    pub fn emit_group(&self, group: &str, frame: impl Into<Frame>) -> Receipt<Reached> {
        self.hub
            .send_to_scope(Scope::Group(group), Some(&self.ids), &frame.into())
    }

    /// Sends to every connection but the exceptions.
    pub fn broadcast(&self, frame: impl Into<Frame>) -> Receipt<Reached> {
        self.hub
            .send_to_scope(Scope::Everyone, Some(&self.ids), &frame.into())
    }
}
