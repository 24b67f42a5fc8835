//! The presence channels that a client of another wire than Pusher Channels' is a member of.
//!
//! Owns that each membership ends once. Must not know connections, nor when one begins.

use std::sync::Arc;

use tieline::Exit;

use super::hubs::HubHandle;

/// Begins the names of channels that have members.
pub(crate) const PRESENCE: &str = "presence-";

/// The presence channels that a client is a member of. Few have more than one.
#[derive(Default)]
pub(crate) struct Memberships(Vec<Membership>);

struct Membership {
    hub: HubHandle,
    /// Also tells this membership from others in the same group, before and after it.
    group: Arc<str>,
    user: Box<str>,
    /// How it ends; `None` if it was refused.
    exit: Option<Exit>,
}

impl Memberships {
    pub(super) fn has(&self, group: &str) -> bool {
        self.place(group).is_some()
    }

    /// The client has been entered in a group that it was no member of.
    pub(super) fn add(&mut self, hub: HubHandle, group: Arc<str>, user: &str) {
        self.0.push(Membership {
            hub,
            group,
            user: user.into(),
            exit: Some(Exit::Disconnected),
        });
    }

    /// The client is in a group no more.
    pub(super) fn leave(&mut self, group: &str) {
        if let Some(place) = self.place(group) {
            self.0.swap_remove(place).exit = Some(Exit::Left);
        }
    }

    /// Forgets one that was refused: the one that was added with this very name.
    pub(super) fn refuse(&mut self, group: &Arc<str>) {
        let place = self.0.iter().position(|one| Arc::ptr_eq(&one.group, group));
        if let Some(place) = place {
            self.0.swap_remove(place).exit = None;
        }
    }

    fn place(&self, group: &str) -> Option<usize> {
        self.0.iter().position(|one| *one.group == *group)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(exit) = self.exit
            && let Some(presence) = self.hub.presence()
        {
            // Without an app, the client was made to leave.
            let limits = self.hub.member_limits();
            let presence = limits.map_or_else(|| presence.clone(), |limits| limits.of(presence));
            presence.exit(&self.group, &self.user, exit);
        }
    }
}
