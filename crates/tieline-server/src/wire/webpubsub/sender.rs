//! What a client does with groups.
//!
//! Owns which groups it may join and send to, and that it is a member of presence channels meanwhile. Must not know
//! frames. Invariant: once it reads that it has joined, whatever any node sends to the group reaches it.

use tieline::{Connection, JoinError};

use super::client;
use crate::app::{
    about::Metadata,
    channels,
    client_data::SharedClientData,
    cuts,
    events::OperationError,
    follow::Follows,
    hubs::HubHandle,
    limits::counts::{Action, Limited},
    members,
    payload::Payload,
    role::Permission,
    send::{about_sender, send_to_group},
};

/// A client that sends, and what it may do in its hub.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) connection: &'a Connection,
    pub(super) hub: &'a HubHandle,
    pub(super) data: Option<&'a SharedClientData>,
    pub(super) follows: &'a Follows,
}

impl Sender<'_> {
    /// Leaves. Whether the client was in the group before.
    pub(super) fn leave(self, group: &str) -> bool {
        let was_in = self.connection.leave(group);
        members::settle(members::update(Some(self.hub), self.connection, group));
        was_in
    }

    /// Joins once all nodes know, so that whatever any node sends to the group after the ack arrives. Whether
    /// the client was not in the group before.
    pub(super) async fn join(self, group: &str) -> Result<bool, OperationError> {
        if let Some(data) = self.data {
            channels::check_client(self.hub, data, Permission::JoinLeaveGroup, group)?;
        }
        let own = self.hub.rules().and_then(|rules| rules.limits.groups);
        let joined = match own.filter(|most| self.has_groups(*most, group)) {
            Some(most) => Err(JoinError::TooMany(most)),
            None => self.connection.join(group),
        };
        let is_new = joined.map_err(|error| {
            if let JoinError::TooMany(_) = error {
                cuts::count(self.hub, self.connection, Limited::Groups, Action::Refused);
            }
            OperationError {
                name: "BadRequest",
                message: error.to_string(),
            }
        })?;
        if let Some(entering) = members::update(Some(self.hub), self.connection, group)
            && let Err(full) = entering.settled().await
            && is_new
        {
            // It may have become a member since, by a reload.
            self.leave(group);
            return Err(full.into());
        }
        if !self.hub.cluster().synced().await {
            tracing::debug!(group, "acknowledging a join before every node knows of it");
        }
        Ok(is_new)
    }

    /// Whether the client is in as many groups as it may join, and not in this one.
    fn has_groups(self, most: usize, group: &str) -> bool {
        let groups = self.connection.groups();
        groups.len() >= most && !groups.iter().any(|own| **own == *group)
    }

    pub(super) fn send_to_group(
        self,
        group: &str,
        no_echo: bool,
        payload: &Payload,
        metadata: Option<&Metadata>,
    ) -> Result<(), OperationError> {
        client::check(self.data, Permission::SendToGroup, group)?;
        if let Some(data) = self.data {
            channels::check_client(self.hub, data, Permission::SendToGroup, group)?;
        }
        channels::check_event(self.hub, metadata)?;
        let cluster = self.hub.cluster();
        let is_outsider = members::is_outsider(self.hub, self.connection, group);
        let about = about_sender(self.connection, is_outsider, metadata);
        let sent = send_to_group(cluster, self.connection, group, no_echo, payload, about);
        self.follows.sent(self.connection, sent);
        Ok(())
    }
}
